"""Where things run."""

from temporalio import activity


class Placing:
    def __init__(self, node: str) -> None:
        self._node = node

    @activity.defn
    async def this_node(self) -> str:
        """The node whose worker took this up: it does what any node can do."""
        return self._node

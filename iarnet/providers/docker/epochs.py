"""Which change of an application may act: the newest that has been here."""

from iarnet.errors import StaleEpoch
from iarnet.providers.docker.engine import Engine
from iarnet.providers.docker.spec import APP, EPOCH, OWNER


class Epochs:
    """In memory; what an earlier process knew is read from the labels of the containers that are there."""

    def __init__(self, engine: Engine, owner: str, provider_id: str) -> None:
        self._engine = engine
        self._owner = owner
        self._provider_id = provider_id
        self._newest: dict[str, int] = {}

    async def admit(self, app: str, epoch: int) -> None:
        """Raises `StaleEpoch`."""
        newest = self._newest.get(app)
        if newest is None:
            # Another call may have been admitted while we asked.
            newest = max(await self._labelled(app), self._newest.get(app, 0))
        if epoch < newest:
            raise StaleEpoch(
                f"A newer change of {app} (epoch {newest}) has taken over from epoch {epoch}",
                where=self._provider_id,
                hint="follow the newer change",
            )
        self._newest[app] = epoch

    def forget(self, app: str, epoch: int) -> None:
        """For an app that has nothing here any more, unless a newer change has been here: made again, it may start
        with a low epoch."""
        if self._newest.get(app) == epoch:
            del self._newest[app]

    async def _labelled(self, app: str) -> int:
        labels = [f"{OWNER}={self._owner}", f"{APP}={app}"]
        listed = await self._engine.ask(lambda c: c.containers(all=True, filters={"label": labels}))
        given = [each["Labels"].get(EPOCH, "") for each in listed]
        return max((int(epoch) for epoch in given if epoch.isdecimal()), default=0)

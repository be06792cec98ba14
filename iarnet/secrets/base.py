"""Sealed values. Everything else carries their names only."""

from typing import Protocol

from iarnet.models.component import EnvVar


def made_for(app: str) -> str:
    """What the names of secrets begin with that a repository asks for: it names none that a person has stored."""
    return f"apps/{app}"


class Secrets(Protocol):
    """Names look like `apps/{app}/{component}/{name}` (made here) or `credentials/{name}` (stored by a person)."""

    async def put(self, name: str, value: str) -> None: ...

    async def get(self, name: str) -> str:
        """Raises `NotFound`."""
        ...

    async def ensure(self, name: str, length: int = 32) -> None:
        """Make a random alphanumeric one unless it exists."""
        ...

    async def delete(self, prefix: str) -> None: ...

    async def names(self, prefix: str = "") -> list[str]: ...

    async def resolve(self, env: EnvVar) -> str | None:
        """The value with the secret in its place. Raises `NotFound` when the secret is gone."""
        ...

    def redact(self, text: str) -> str:
        """The text with every secret value that this process has resolved replaced by `***`."""
        ...

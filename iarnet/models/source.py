"""Where an application's code comes from."""

from pydantic import Field

from iarnet.models.base import AppName, Time, Value


class GitSource(Value):
    """A repository and what to take of it. `ref`: branch, tag or commit; empty means the default branch.

    `credential` names a stored secret (a token for https, a private key for ssh); it is never a value.
    `subdir` restricts the application to a folder of the repository.
    """

    url: str = Field(min_length=1, max_length=2048)
    ref: str = Field(default="", max_length=255)
    credential: str | None = None
    subdir: str = ""


class Source(Value):
    """A snapshot: `commit` and `tree` are hex object names in the node's object store.

    `fetched_at` is when it was asked for last, so that the newest is what somebody wants, also after going back.
    """

    app: AppName
    git: GitSource
    commit: str = Field(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")
    tree: str = Field(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")
    message: str = ""
    author: str = ""
    fetched_at: Time

    @property
    def part(self) -> str:
        """What is the application, as Git writes it: the tree, or `tree:folder`. Its analysis has this name."""
        return f"{self.tree}:{self.git.subdir}" if self.git.subdir else self.tree

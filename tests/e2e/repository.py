"""Git repositories made on the spot."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


@dataclass(frozen=True)
class Repository:
    path: Path

    @property
    def url(self) -> str:
        return self.path.as_uri()

    def write(self, name: str, text: str) -> "Repository":
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return self

    def replace(self, name: str, old: str, new: str) -> "Repository":
        text = (self.path / name).read_text()
        assert old in text, f"{old!r} is not in {name}"
        return self.write(name, text.replace(old, new))

    def commit(self, message: str = "a change") -> str:
        self._git("add", "-A")
        self._git("commit", "--allow-empty", "-m", message)
        return self._git("rev-parse", "HEAD").strip()

    def _git(self, *words: str) -> str:
        who = ("-c", "user.name=tests", "-c", "user.email=tests@example.com", "-c", "commit.gpgsign=false")
        done = subprocess.run(["git", *who, *words], cwd=self.path, capture_output=True, text=True, check=True)
        return done.stdout


def example(name: str, directory: Path) -> Repository:
    """One of `examples/` as a repository with one commit."""
    path = directory / name
    shutil.copytree(EXAMPLES / name, path)
    return _committed(path)


def repository(directory: Path, **files: str) -> Repository:
    """`files`: path -> text, with `__` for a slash and `_DOT_` for a dot, or use `write`."""
    directory.mkdir(parents=True)
    made = Repository(directory)
    for name, text in files.items():
        made.write(name.replace("__", "/").replace("_DOT_", "."), text)
    return _committed(directory)


def _committed(path: Path) -> Repository:
    made = Repository(path)
    made._git("init", "-q", "-b", "main")
    made.commit("first")
    return made

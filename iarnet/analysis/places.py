"""Where the files of a tree are. A repository may have 200,000: an index is made when it is first asked for."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import cached_property
from itertools import groupby

Folder = tuple[list[str], list[str]]
"""The files and the folders directly in it."""


class Places:
    """`kept`: the sorted `paths` without folders of which `keep` says no. `folders` are those that are left; the top
    one is `""`."""

    def __init__(self, paths: list[str], keep: Callable[[str], bool]) -> None:
        self.kept: list[str] = []
        self.folders: dict[str, Folder] = {"": ([], [])}
        self._names: dict[str, dict[str, list[str]]] = {}
        left_out = "\0"
        for above, group in groupby(paths, key=_above):
            if f"{above}/".startswith(left_out):
                continue
            if unwanted := self._open(above, keep):
                left_out = f"{unwanted}/"
                continue
            files = list(group)
            self.folders[above][0].extend(files)
            self.kept += files

    @cached_property
    def _kinds(self) -> dict[str, list[str]]:
        """By what their names end with, `.py`; a name without a dot is its own kind."""
        found: dict[str, list[str]] = defaultdict(list)
        for path, end in zip(self.kept, [path[path.rfind(".") :] for path in self.kept], strict=True):
            found[end if end[0] == "." and "/" not in end else _name(path)].append(path)
        return dict(found)

    def below(self, root: str) -> list[str]:
        return _below(self.kept, root)

    def named(self, names: Iterable[str], root: str) -> list[str]:
        """Files with one of these names, sorted."""
        found: list[str] = []
        for name in dict.fromkeys(names):
            found += _below(self._named(_kind(name)).get(name, []), root)
        return sorted(found)

    def ending(self, suffixes: tuple[str, ...], root: str) -> list[str]:
        """Files whose paths end with one of these, sorted."""
        whole = {suffix for suffix in suffixes if _kind(suffix) == suffix and suffix[0] == "."}
        found = [path for kind in whole & self._kinds.keys() for path in _below(self._kinds[kind], root)]
        rest = tuple(suffix for suffix in suffixes if suffix not in whole)
        if rest:
            ends = {_kind(suffix) for suffix in rest}
            kinds = [kind for kind in self._kinds.keys() - whole if kind in ends or kind.endswith(rest)]
            found += [path for kind in kinds for path in _below(self._kinds[kind], root) if path.endswith(rest)]
        return sorted(found)

    def _named(self, kind: str) -> dict[str, list[str]]:
        if kind not in self._names:
            found: dict[str, list[str]] = defaultdict(list)
            for path in self._kinds.get(kind, ()):
                found[_name(path)].append(path)
            self._names[kind] = dict(found)
        return self._names[kind]

    def _open(self, folder: str, keep: Callable[[str], bool]) -> str:
        """Note the folder, and those above it that are new; or return the first that is not to be kept."""
        new: list[str] = []
        while folder not in self.folders:
            new.append(folder)
            folder = _above(folder)
        for name in reversed(new):
            if not keep(name):
                return name
            self.folders[name] = ([], [])
            self.folders[_above(name)][1].append(name)
        return ""


def _above(path: str) -> str:
    return path.rpartition("/")[0]


def _name(path: str) -> str:
    return path[path.rfind("/") + 1 :]


def _kind(name: str) -> str:
    return name[max(0, name.rfind(".")) :]


def _below(paths: list[str], root: str) -> list[str]:
    if not root:
        return paths
    first = bisect_left(paths, f"{root}/")
    return paths[first : bisect_left(paths, f"{root}0", first)]  # "0" follows "/"

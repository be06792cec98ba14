"""Symbolic links inside a tree: which of them stay there."""

from collections.abc import Mapping

_HOPS = 40


def stays_inside(links: Mapping[str, str], path: str) -> bool:
    """Whether the link at `path` leads to a place within the tree, whether or not there is anything.

    `links` maps every link of the tree to its target. Follows links to links as a kernel does, because
    the text of a target alone tells nothing: with `d/x -> ..`, `d/x/../..` is outside.
    """
    place: list[str] = []
    rest, hops = path.split("/"), 0
    while rest:
        part = rest.pop(0)
        if part in ("", "."):
            continue
        if part == "..":
            if not place:
                return False
            place.pop()
            continue
        target = links.get("/".join((*place, part)))
        if target is None:
            place.append(part)
            continue
        hops += 1
        if target.startswith("/") or hops > _HOPS:
            return False
        rest[:0] = target.split("/")
    return True

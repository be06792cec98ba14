"""From the name that a person gives to a commit."""

import difflib
import re

from iarnet.errors import InvalidUrl, RefNotFound
from iarnet.sources.remote import Remote
from iarnet.sources.url import is_commit

_SHORT_COMMIT = re.compile(r"[0-9a-f]{7,39}")
_NAMED = re.compile(r"^refs/(?:heads|tags)/(.*[^}])$")


async def find_commit(remote: Remote, ref: str) -> str:
    """The commit of a branch, a tag or the default branch (`""`). Raises `RefNotFound`, naming what there is."""
    found = await remote.refs(*preferred(ref))
    for name in preferred(ref):
        if name in found:
            return _supported(found[name])
    every = await remote.refs()
    if _SHORT_COMMIT.fullmatch(ref) and len(tips := {sha for sha in every.values() if sha.startswith(ref)}) == 1:
        return tips.pop()
    raise _no_ref(ref, every)


def _supported(sha: str) -> str:
    if not is_commit(sha):
        hint = "Convert it to SHA-1 object names, or import a mirror that has them."
        raise InvalidUrl("The repository names its objects by SHA-256, which is not supported.", hint=hint)
    return sha


def preferred(ref: str) -> list[str]:
    """Where the ref may be, best first; an annotated tag's commit (`^{}`) before the tag."""
    if ref in ("", "HEAD"):
        return ["HEAD"]
    if ref.startswith("refs/"):
        return [f"{ref}^{{}}", ref]
    return [f"refs/heads/{ref}", f"refs/tags/{ref}^{{}}", f"refs/tags/{ref}"]


def _no_ref(ref: str, every: dict[str, str]) -> RefNotFound:
    if not every:
        return RefNotFound("The repository is empty.", hint="Push a commit to it.")
    names = sorted(match[1] for name in every if (match := _NAMED.match(name)))
    near = ", ".join(difflib.get_close_matches(ref, names, n=3, cutoff=0.5) or names[:5]) or "none"
    if not ref:
        hint = f"Give one of its branches as ref. There are, for example: {near}."
        return RefNotFound("The repository has no default branch.", hint=hint)
    hint = f"There are, for example: {near}."
    if _SHORT_COMMIT.fullmatch(ref):
        hint = "Give all 40 digits of a commit: servers know no abbreviations."
    return RefNotFound(f"The repository has no branch or tag {ref!r}.", where=ref, hint=hint)

"""What git's own words mean."""

import re

from iarnet.errors import AccessDenied, InvalidUrl, RefNotFound, RepositoryNotFound, SourceError

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")
_NOT_ALLOWED = re.compile(r"transport '.*' not allowed")
_NO_REF = re.compile(
    r"couldn't find remote ref|not our ref|unadvertised object|upload-pack: not our|no such remote ref"
)
_SSH_KEY = re.compile(r"Permission denied|Load key .*(invalid|libcrypto)|Too many authentication failures")
_HOST_KEY = re.compile(r"Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED")
_DENIED = re.compile(
    r"Authentication failed|could not read (Username|Password)|returned error: 40[13]\b|not authorized|access denied",
    re.IGNORECASE,
)
_NOT_THERE = re.compile(
    r"returned error: 4(04|10)\b|repository .*not found|not found: did you run|could not be found"
    r"|does not appear to be a git repository|no such file or directory|not valid: is this a git repository",
    re.IGNORECASE,
)
_REDIRECT = re.compile(r"returned error: 30[12378]\b")
_OBJECT = re.compile(r"fsck error|in object [0-9a-f]{40}: ")


def is_redirect(err: str) -> bool:
    return bool(_REDIRECT.search(err))


def is_unknown_object(err: str) -> bool:
    """The server won't give a commit by its name, or doesn't have it."""
    return bool(_NO_REF.search(err))


def failure(err: str, *, where: str, authenticated: bool) -> SourceError | InvalidUrl:
    """The error that stands for this output of a git that failed. `authenticated`: a credential was used."""
    log = tuple(readable(err).splitlines()[-10:])
    access = "Check the credential's value and rights." if authenticated else "Give a credential that may read it."
    if _NOT_ALLOWED.search(err):
        return InvalidUrl("This kind of address is not allowed.", where=where, hint="Use https or ssh.")
    if is_unknown_object(err):
        return RefNotFound("The repository has no such branch, tag or commit.", where=where, hint="Check the ref.")
    if _HOST_KEY.search(err):
        hint = "If the change is right, remove the host from known_hosts in the sources directory."
        return AccessDenied("The server's host key is not the one seen before.", where=where, hint=hint, log=log)
    if _SSH_KEY.search(err) or _DENIED.search(err):
        return AccessDenied("The repository's server refuses access.", where=where, hint=access, log=log)
    if _NOT_THERE.search(err):
        hint = f"Check the address. Servers also answer so for a private repository. {access}"
        return RepositoryNotFound("There is no repository at this address.", where=where, hint=hint, log=log)
    if _OBJECT.search(err):
        hint = "Repair the repository's history (git fsck names the object) and push again."
        return SourceError("The repository has a malformed object.", where=where, hint=hint, log=log)
    return SourceError("The repository can't be fetched.", where=where, hint=_advice(err), log=log)


def readable(text: str) -> str:
    """Without what could move a terminal's cursor or hide text."""
    return _CONTROL.sub("", text.replace("\r", "\n"))


def _advice(err: str) -> str:
    if re.search(r"certificate|SSL", err):
        return "Give the bundle of your certificate authority as git.ca_bundle."
    if re.search(r"timed out|too slow|Connection (refused|reset)|Failed to connect", err, re.IGNORECASE):
        return "Check that the server can be reached from this machine, then try again."
    return "The last lines of git's output say why; try again when that is mended."

"""Repository addresses: which forms are allowed. Pure; where a host may be is checked in `hosts`."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from iarnet.errors import InvalidInput, InvalidUrl

Scheme = Literal["https", "http", "ssh", "file"]

_PORTS = {"https": 443, "http": 80, "ssh": 22, "file": 0}
_HOST = re.compile(r"(?:[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?\.?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*")
_SCP = re.compile(r"(?P<user>[^@/:]+)@(?P<host>\[[^\]]*\]|[^@/:]*):(?P<path>[^:].*)", re.DOTALL)
_UNSAFE = re.compile(r"[\x00-\x20\x7f-\x9f\\]")
_COMMIT = re.compile(r"[0-9a-fA-F]{40}")
_NOT_IN_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|^[-./]|[./]$|\.lock(/|$)")


@dataclass(frozen=True)
class RepositoryUrl:
    """`text` is what git gets. `host` has no brackets and is empty for `file`, as `port` is 0."""

    text: str
    scheme: Scheme
    host: str
    port: int
    path: str
    user: str = ""

    @property
    def origin(self) -> str:
        """Scheme, host and port: what a credential is good for."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def parse_url(text: str, *, allow_file: bool = False, allow_http: bool = False) -> RepositoryUrl:
    """Raises `InvalidUrl` for everything but https, ssh (`ssh://…`, `git@host:path`) and what is allowed besides.

    No message repeats the address, as it may hold a password.
    """
    if not text or text.startswith("-"):
        raise InvalidUrl("A repository address can't be empty or begin with a dash.", hint=_FORMS)
    if "::" in text.split("://")[0].split("@")[0]:
        raise InvalidUrl("Addresses for remote helpers (`name::…`) are not allowed.", hint=_FORMS)
    if text.startswith("/") or text.startswith("file://"):
        return _file(text.removeprefix("file://"), allow_file=allow_file)
    if _UNSAFE.search(text):
        raise InvalidUrl("The address has a space, a backslash or a control character in it.", hint=_FORMS)
    return _with_scheme(text, allow_http=allow_http) if "://" in text else _scp(text)


def is_commit(ref: str) -> bool:
    return bool(_COMMIT.fullmatch(ref))


def check_ref(ref: str) -> str:
    """The ref, unless no Git ref can have this name (git-check-ref-format): that is `InvalidInput`."""
    if ref and (_NOT_IN_REF.search(ref) or ref == "@"):
        raise InvalidInput(f"{ref!r} can't be the name of a branch or tag.", hint="Give a branch, a tag or a commit.")
    return ref


_FORMS = "Use https://host/path, ssh://user@host/path or git@host:path."


def _file(path: str, *, allow_file: bool) -> RepositoryUrl:
    if not allow_file:
        raise InvalidUrl(
            "Repositories in this machine's files are not allowed.",
            hint="Set git.allow_file to allow them, or push the repository to a server.",
        )
    if not path.startswith("/") or re.search(r"[\x00-\x1f\x7f]", path):
        raise InvalidUrl("A file address needs an absolute path without control characters.", hint="file:///path")
    return RepositoryUrl(text=f"file://{path}", scheme="file", host="", port=0, path=str(Path(path)))


def _with_scheme(text: str, *, allow_http: bool) -> RepositoryUrl:
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise InvalidUrl("The address can't be read.", hint=_FORMS) from None
    scheme: Scheme
    if parts.scheme == "https":
        scheme = "https"
    elif parts.scheme == "ssh":
        scheme = "ssh"
    elif parts.scheme == "http":
        if not allow_http:
            raise InvalidUrl("http is not allowed: anybody on the way could change the code.", hint="Use https.")
        scheme = "http"
    else:
        raise InvalidUrl(f"Addresses of the kind {parts.scheme[:20]!r} are not allowed.", hint=_FORMS)
    _refuse_secrets(scheme, parts.username, parts.password)
    if parts.query or parts.fragment:
        raise InvalidUrl("The address has a query or a fragment.", hint="Give a branch as the ref.")
    return _checked(RepositoryUrl(text, scheme, host, port or _PORTS[scheme], parts.path, parts.username or ""))


def _refuse_secrets(scheme: Scheme, user: str | None, password: str | None) -> None:
    if password is not None or (user is not None and scheme != "ssh"):
        raise InvalidUrl(
            "The address holds a user name, a password or a token.",
            hint="Leave out what is before the @, store the token as a credential and give the credential's name.",
        )


def _scp(text: str) -> RepositoryUrl:
    match = _SCP.fullmatch(text)
    if match is None:
        raise InvalidUrl("That is no repository address.", hint=_FORMS)
    host = match["host"].strip("[]")
    return _checked(RepositoryUrl(text, "ssh", host, _PORTS["ssh"], match["path"], match["user"]))


def _checked(url: RepositoryUrl) -> RepositoryUrl:
    if not _HOST.fullmatch(url.host):
        raise InvalidUrl("The address has no valid host name.", hint="Write the names of other scripts in punycode.")
    if url.user and not _USER.fullmatch(url.user):
        raise InvalidUrl("The address has no valid user name.", hint=_FORMS)
    if not url.path.strip("/") or url.path.lstrip("/").startswith("-"):
        raise InvalidUrl("The address has no valid path of a repository.", where=url.host, hint=_FORMS)
    return url

"""One conversation with the repository of somebody else."""

import base64
import contextlib
import os
import re
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from iarnet.errors import InvalidInput, InvalidUrl, Missing, SourceError
from iarnet.secrets.base import Secrets
from iarnet.sources.environment import GitProgram, Settings, environment, pinned, ssh_command
from iarnet.sources.failures import failure, is_redirect, is_unknown_object
from iarnet.sources.hosts import addresses_of, refuse_private
from iarnet.sources.process import Finished, run
from iarnet.sources.url import RepositoryUrl, parse_url

_HOPS = 4
_LOCATION = re.compile(r"<= Recv header: location: (\S+)", re.IGNORECASE)
_SERVICE = re.compile(r"/info/refs\?service=git-upload-pack$")


@dataclass(frozen=True)
class Rules:
    """Which addresses are allowed."""

    file: bool = False
    http: bool = False
    private_hosts: bool = False


@dataclass
class Remotes:
    """Opens repositories under these rules. `keys` is a private folder for keys in use and known hosts."""

    program: GitProgram
    rules: Rules
    keys: Path
    secrets: Secrets | None

    @contextlib.asynccontextmanager
    async def open(self, url: str, credential: str | None) -> AsyncIterator["Remote"]:
        """Raises `InvalidUrl`, `SourceError`, and `NotFound` when there is no such credential."""
        parsed = self._parsed(url)
        secret = await self._secret(credential) if credential else None
        with contextlib.ExitStack() as stack:
            key = stack.enter_context(_key_file(self.keys, secret)) if secret and parsed.scheme == "ssh" else None
            header = _authorization(parsed, secret) if secret and not key else ()
            redact = self.secrets.redact if self.secrets else str
            access = _Access(parsed.origin, credential, header, key, redact)
            yield Remote(self, parsed, await self.addresses(parsed), access)

    def credential_for(self, remote: "Remote", url: str) -> str | None:
        """The credential of `remote`, for another repository at the origin that it was given for."""
        access = remote.access
        return access.credential if self._parsed(url).origin == access.origin else None

    async def addresses(self, url: RepositoryUrl) -> tuple[str, ...]:
        if url.scheme == "file":
            return ()
        if self.program.proxy and url.scheme != "ssh":
            # Names are the proxy's to resolve and to judge; addresses are still ours.
            with contextlib.suppress(ValueError):
                refuse_private(url.host, () if self.rules.private_hosts else (url.host,))
            return ()
        return await addresses_of(url.host, url.port, allow_private=self.rules.private_hosts)

    def _parsed(self, url: str) -> RepositoryUrl:
        return parse_url(url, allow_file=self.rules.file, allow_http=self.rules.http)

    async def _secret(self, credential: str) -> str:
        if self.secrets is None:
            raise Missing("This node keeps no secrets.", where=credential, hint="Configure secrets.key_file.")
        # Always in this folder: a credential must never be another application's password.
        return await self.secrets.get(f"credentials/{credential.removeprefix('credentials/')}")


@dataclass(frozen=True)
class _Access:
    origin: str
    credential: str | None
    header: Settings = field(repr=False)
    key: Path | None
    redact: Callable[[str], str] = field(repr=False)


@dataclass
class Remote:
    """`url` changes when the server redirects to another address that is allowed."""

    door: Remotes
    url: RepositoryUrl
    addresses: tuple[str, ...]
    access: _Access

    async def refs(self, *patterns: str) -> dict[str, str]:
        """Ref -> object, of those that end with a pattern; `HEAD` is the default branch."""
        done = await self._talk(lambda url: ["ls-remote", "-q", "--", url, *patterns])
        lines = (line.split("\t", 1) for line in done.out.decode("utf-8", "replace").splitlines())
        return {name: sha for sha, name in (line for line in lines if len(line) == 2)}

    async def fetch(
        self, repository: Path, *specs: str, depth: int | None, watch: Callable[[], None] | None = None
    ) -> bool:
        """Into a bare repository; without `depth` the whole history. False when the server has no such object."""
        how = [f"--depth={depth}"] if depth else ["--unshallow"] if (repository / "shallow").exists() else []
        words = ["fetch", "-q", "--no-tags", "--no-write-fetch-head", "--refmap=", "--no-auto-gc", *how]
        done = await self._talk(
            lambda url: [*words, "--", url, *specs], repository=repository, watch=watch, may_miss=True
        )
        return done.code == 0

    async def _talk(
        self,
        words: Callable[[str], list[str]],
        *,
        repository: Path | None = None,
        watch: Callable[[], None] | None = None,
        may_miss: bool = False,
    ) -> Finished:
        for _ in range(_HOPS):
            argv = [self.door.program.git, *words(self.url.text)]
            done = await run(argv, env=self._environment(repository), watch=watch)
            if done.code == 0 or (may_miss and is_unknown_object(done.err)):
                return done
            if not is_redirect(done.err):
                break
            await self._follow()
        raise failure(self.access.redact(done.err), where=self._place(), authenticated=bool(self.access.credential))

    def _environment(self, repository: Path | None = None) -> dict[str, str]:
        settings = pinned(self.url, self.addresses) + self.access.header
        env = environment(self.door.program, repository=repository, settings=settings)
        if self.url.scheme != "ssh":
            return env
        if not self.door.program.ssh:
            raise Missing("ssh is not installed.", where="ssh", hint="Install OpenSSH, or use an https address.")
        known = self.door.keys / "known_hosts"
        command = ssh_command(self.door.program, self.url, self.addresses[0], key=self.access.key, known_hosts=known)
        return env | {"GIT_SSH_COMMAND": command, "GIT_SSH_VARIANT": "ssh"}

    async def _follow(self) -> None:
        """Go where the server sends us, if that is allowed. Credentials stay with the first origin."""
        env = self._environment() | {"GIT_TRACE_CURL": "1", "GIT_TRACE_CURL_NO_DATA": "1"}
        done = await run([self.door.program.git, "ls-remote", "-q", "--", self.url.text, "HEAD"], env=env)
        found = _LOCATION.findall(done.err)
        if not found or not _SERVICE.search(found[-1]):
            hint = "Open the address in a browser to see where it leads, and use that one."
            raise SourceError("The server redirects to something else.", where=self._place(), hint=hint)
        target = _SERVICE.sub("", found[-1])
        if target.startswith("/"):
            parts = urlsplit(self.url.text)
            target = f"{parts.scheme}://{parts.netloc}{target}"
        moved = parse_url(target, allow_http=self.door.rules.http and self.url.scheme == "http")
        if moved.scheme not in ("http", "https"):
            raise InvalidUrl("The server redirects to an address of another kind.", where=self._place())
        self.url, self.addresses = moved, await self.door.addresses(moved)

    def _place(self) -> str:
        return (
            f"{self.url.host or 'file'}:{self.url.path.lstrip('/')}" if self.url.scheme != "file" else self.url.path
        )


def _authorization(url: RepositoryUrl, secret: str) -> Settings:
    """A token, or `user:password`; only for this origin, wherever redirects and submodules lead."""
    if url.scheme not in ("http", "https"):
        return ()
    if not secret.strip() or re.search(r"[\x00-\x1f]", secret.strip()):
        hint = "Store a token for https addresses, a private key for ssh addresses."
        raise InvalidInput("This credential is no token.", where=url.host, hint=hint)
    pair = secret.strip() if ":" in secret else f"x-access-token:{secret.strip()}"
    value = base64.b64encode(pair.encode()).decode()
    return ((f"http.{url.origin}/.extraHeader", f"Authorization: Basic {value}"),)


@contextlib.contextmanager
def _key_file(folder: Path, secret: str) -> Iterator[Path]:
    handle, name = tempfile.mkstemp(prefix="key-", dir=folder)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secret.replace("\r\n", "\n").strip() + "\n")
        yield Path(name)
    finally:
        os.unlink(name)

"""Secrets sealed by AES-256-GCM (NIST SP 800-38D) under one key file; the name is authenticated with the value."""

import asyncio
import base64
import binascii
import os
import re
import secrets
import stat
import string
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from iarnet.errors import InvalidConfig, InvalidInput, NotFound
from iarnet.models.component import EnvVar

_KEY_BYTES, _NONCE_BYTES, _FORMAT = 32, 12, b"\x01"
_SHORTEST_REDACTED, _SHORTEST_LINE = 6, 20
_ALPHABET = string.ascii_letters + string.digits
_PLACE = "{secret}"


class SealedRows(Protocol):
    """Where sealed values are kept: any bytes by any name; a prefix is one of letters."""

    async def put(self, name: str, sealed: bytes) -> None: ...

    async def get(self, name: str) -> bytes | None: ...

    async def delete(self, prefix: str) -> None: ...

    async def names(self, prefix: str) -> list[str]: ...


class SealedSecrets:
    """`iarnet.secrets.base.Secrets`. `key` has 32 bytes; see `load_key`."""

    def __init__(self, rows: SealedRows, key: bytes) -> None:
        if len(key) != _KEY_BYTES:
            raise InvalidConfig(f"The key of the secrets has {len(key)} bytes, not {_KEY_BYTES}.", where="secrets")
        self._rows, self._cipher = rows, AESGCM(key)
        self._seen: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self._turn = asyncio.Lock()

    @classmethod
    def open(cls, rows: SealedRows, key_file: Path) -> "SealedSecrets":
        """With the key in that file, which is made when there is none. Raises `InvalidConfig`."""
        return cls(rows, load_key(key_file))

    async def check(self) -> None:
        """Raises `InvalidConfig` when what is stored was sealed under another key.

        Afterwards `redact` knows all that is stored: what runs already prints values that nobody has asked for since.
        """
        names = await self.names()
        for name in names[:1]:
            await self.get(name)
        for name in names[1:]:
            # One that is damaged is refused where it is needed.
            with suppress(InvalidConfig):
                await self.get(name)

    async def put(self, name: str, value: str) -> None:
        if not name or name != name.strip("/"):
            raise InvalidInput(f"{name!r} is no name of a secret.", hint="Like credentials/github.")
        nonce = os.urandom(_NONCE_BYTES)
        sealed = _FORMAT + nonce + self._cipher.encrypt(nonce, value.encode(), name.encode())
        await self._rows.put(_row(name), sealed)
        self._remember(value)

    async def get(self, name: str) -> str:
        sealed = await self._rows.get(_row(name))
        if sealed is None:
            raise NotFound(
                f"There is no secret {name!r}.", where=name, hint="Store it first: PUT a secret of this name."
            )
        value = self._unsealed(name, sealed)
        self._remember(value)
        return value

    async def ensure(self, name: str, length: int = 32) -> None:
        async with self._turn:
            if await self._rows.get(_row(name)) is None:
                await self.put(name, "".join(secrets.choice(_ALPHABET) for _ in range(length)))

    async def delete(self, prefix: str) -> None:
        """The secret of this name and all below it: `shop` is no prefix of `shop2/db`."""
        if not prefix.strip("/"):
            raise InvalidInput("All secrets can't be deleted at once.", hint="Name an application or a secret.")
        await self._rows.delete(_row(prefix))

    async def names(self, prefix: str = "") -> list[str]:
        """The secret of this name and all below it; without a prefix, all."""
        return sorted(name.removesuffix("/") for name in await self._rows.names(_row(prefix) if prefix else ""))

    async def resolve(self, env: EnvVar) -> str | None:
        if env.secret is None:
            return env.value
        secret = await self.get(env.secret)
        return secret if env.value is None else env.value.replace(_PLACE, secret)

    def redact(self, text: str) -> str:
        """Values of six letters or more, also as a URL writes them, and the lines of longer ones."""
        if self._pattern is None and self._seen:
            longest_first = sorted(self._seen, key=len, reverse=True)
            self._pattern = re.compile("|".join(re.escape(value) for value in longest_first))
        return self._pattern.sub("***", text) if self._pattern else text

    def _unsealed(self, name: str, sealed: bytes) -> str:
        nonce, rest = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            if not sealed.startswith(_FORMAT):
                raise InvalidTag
            return self._cipher.decrypt(nonce, rest, name.encode()).decode()
        except (InvalidTag, ValueError):
            raise InvalidConfig(
                f"The secret {name!r} was sealed under another key, or has been changed.",
                where="secrets.key_file",
                hint="Put the key file back that this node had before, or store the secret again.",
            ) from None

    def _remember(self, value: str) -> None:
        lines = [line for line in value.splitlines() if len(line) >= _SHORTEST_LINE and not line.startswith("-----")]
        forms = {value, quote(value, safe=""), *lines} if len(value) >= _SHORTEST_REDACTED else set()
        if not forms <= self._seen:
            self._seen |= forms
            self._pattern = None


def _row(name: str) -> str:
    """Rows end with a slash, so that the prefix of one name is never that of its neighbour."""
    return name.rstrip("/") + "/"


class MemoryRows:
    """Sealed values that end with the process."""

    def __init__(self) -> None:
        self._sealed: dict[str, bytes] = {}

    async def put(self, name: str, sealed: bytes) -> None:
        self._sealed[name] = sealed

    async def get(self, name: str) -> bytes | None:
        return self._sealed.get(name)

    async def delete(self, prefix: str) -> None:
        self._sealed = {name: sealed for name, sealed in self._sealed.items() if not name.startswith(prefix)}

    async def names(self, prefix: str) -> list[str]:
        return [name for name in self._sealed if name.startswith(prefix)]


def load_key(path: Path) -> bytes:
    """32 bytes, base64 in the file. Made at first, readable for its owner only; two that start at once agree."""
    if not path.exists():
        _make_key(path)
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise InvalidConfig(f"{path} can be read by others.", where="secrets.key_file", hint=f"chmod 600 {path}")
    try:
        key = base64.b64decode(path.read_bytes().strip(), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != _KEY_BYTES:
        hint = "Put the right file back. If it is lost, so are the secrets: remove it, and store them again."
        raise InvalidConfig(f"{path} holds no key.", where="secrets.key_file", hint=hint)
    return key


def _make_key(path: Path) -> None:
    """Complete before it has its name: `link` fails when another process was first."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(base64.b64encode(AESGCM.generate_key(bit_length=_KEY_BYTES * 8)) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(name, path)
    except FileExistsError:
        return
    finally:
        os.unlink(name)

"""What every command needs: the options that all have, the settings, the node."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from iarnet.cli.show import Show
from iarnet.config import Loaded, Settings, load_settings
from iarnet.errors import InvalidConfig, NodeUnreachable, Unauthorized

if TYPE_CHECKING:
    from iarnet.cli.client import Node

NO_NODE_HINT = "start one with `iarnet up`, or name one with --server and --token"


@dataclass(frozen=True)
class Session:
    show: Show
    environ: Mapping[str, str]
    cwd: Path
    config: Path | None = None
    data_dir: Path | None = None
    server: str | None = None
    token: str | None = None

    def load(self, flags: Mapping[str, Any] | None = None) -> Loaded:
        """All settings, strictly. Raises `InvalidConfig`."""
        config = self.config or (Path(text) if (text := self.environ.get("IARNET_CONFIG")) else None)
        own = {"data_dir": str(self.data_dir) if self.data_dir else None}
        return load_settings(config, self.environ, own | dict(flags or {}), cwd=self.cwd)

    @cached_property
    def settings(self) -> Settings:
        """For a client. A `config.yaml` that happens to lie here and isn't ours does not matter to it."""
        try:
            return self.load().settings
        except InvalidConfig:
            if self.config or self.environ.get("IARNET_CONFIG"):
                raise
            flags = {"data_dir": str(self.data_dir) if self.data_dir else None}
            return load_settings(None, self.environ, flags, cwd=self.cwd / "nowhere").settings

    @cached_property
    def node(self) -> "Node":
        """Raises `NodeUnreachable` when nothing says where it is, `Unauthorized` without a token for it."""
        # Imported here: its library is a tenth of what a node imports that is started again, and needs no client.
        from iarnet.cli.client import Node

        given = self.server or self.environ.get("IARNET_SERVER")
        known = self._read(self.settings.address_file)
        address = (given or known).rstrip("/")
        if not address:
            raise NodeUnreachable("no node runs here", where=str(self.settings.address_file), hint=NO_NODE_HINT)
        ca_file = self.settings.tls.cert_file if self.settings.tls.enabled else None
        return Node(address, self._token(address, known.rstrip("/")), ca_file)

    def _token(self, address: str, known: str) -> str:
        if given := self.token or self.environ.get("IARNET_TOKEN"):
            return given
        if address != known:
            # The local token is for the local node: it is not shown to an address that somebody typed.
            hint = "give --token or IARNET_TOKEN"
            raise Unauthorized("there is no token for this node", where=address, hint=hint)
        file = self.settings.token_file
        if file.exists() and file.stat().st_mode & 0o077:
            hint = f"`chmod 600 {file}` if it is yours"
            raise Unauthorized("the token file can be read by others", where=str(file), hint=hint)
        return self._read(file)

    def _read(self, file: Path) -> str:
        try:
            return file.read_text().strip()
        except FileNotFoundError:
            return ""
        except OSError as error:
            hint = "run as the user that started the node, or give --server and --token"
            raise Unauthorized(f"can't be read: {error.strerror}", where=str(file), hint=hint) from error


def session_of(ctx: typer.Context) -> Session:
    found = ctx.find_root().obj
    assert isinstance(found, Session)
    return found

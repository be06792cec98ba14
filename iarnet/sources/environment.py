"""The whole environment of a git process: nothing of the machine's or the user's configuration gets in."""

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from iarnet.sources.url import RepositoryUrl

Settings = tuple[tuple[str, str], ...]

_SAFE: Settings = (
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("credential.helper", ""),
    ("protocol.allow", "never"),
    ("http.followRedirects", "false"),
    ("http.lowSpeedLimit", "1000"),
    ("http.lowSpeedTime", "30"),
    ("transfer.fsckObjects", "true"),
    # Harmless mistakes of old commits in well-known repositories.
    ("fetch.fsck.badTimezone", "ignore"),
    ("fetch.fsck.missingSpaceBeforeDate", "ignore"),
    ("fetch.fsck.zeroPaddedFilemode", "ignore"),
    # One pack a fetch, so that a fetch that went too far can be taken back.
    ("fetch.unpackLimit", "1"),
    ("fetch.recurseSubmodules", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("pack.threads", "2"),
    ("i18n.logOutputEncoding", "UTF-8"),
)


@dataclass(frozen=True)
class GitProgram:
    """Absolute paths of `git` and `ssh` (empty: none here), an empty `home`, and what TLS needs on this machine."""

    git: str
    ssh: str
    home: Path
    ca_bundle: Path | None = None
    proxy: str | None = None


def environment(program: GitProgram, *, repository: Path | None = None, settings: Settings = ()) -> dict[str, str]:
    """`settings` are Git configuration; they go through the environment, where nobody's `ps` shows them."""
    env = {
        "PATH": os.pathsep.join((str(Path(program.git).parent), os.defpath)),
        "HOME": str(program.home),
        "XDG_CONFIG_HOME": str(program.home),
        "LC_ALL": "C",
        "LANGUAGE": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_SYSTEM": "/dev/null",
        "GIT_CONFIG_PARAMETERS": "",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "",
        "SSH_ASKPASS": "",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": "",
    }
    if program.ca_bundle:
        env["GIT_SSL_CAINFO"] = str(program.ca_bundle)
    if repository:
        env |= {"GIT_DIR": str(repository), "GIT_OBJECT_DIRECTORY": str(repository / "objects")}
    proxy = (("http.proxy", program.proxy),) if program.proxy else ()
    return env | _configuration(_SAFE + proxy + settings)


def pinned(url: RepositoryUrl, addresses: tuple[str, ...]) -> Settings:
    """Allow this protocol only, and connect to these addresses whatever DNS says by then."""
    allowed: Settings = ((f"protocol.{url.scheme}.allow", "always"),)
    if url.scheme not in ("http", "https") or not addresses:
        return allowed
    hosts = ",".join(f"[{a}]" if ":" in a else a for a in addresses)
    return (*allowed, ("http.curloptResolve", f"{url.host}:{url.port}:{hosts}"))


def ssh_command(program: GitProgram, url: RepositoryUrl, address: str, *, key: Path | None, known_hosts: Path) -> str:
    """For GIT_SSH_COMMAND, which git gives to a shell: every word is quoted. Reads no file of the user's."""
    options = {
        "BatchMode": "yes",
        "StrictHostKeyChecking": "accept-new",
        "UserKnownHostsFile": _path(known_hosts),
        "GlobalKnownHostsFile": "/dev/null",
        "HostKeyAlias": url.host if url.port == 22 else f"[{url.host}]:{url.port}",
        "HostName": address,
        "CheckHostIP": "no",
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "IdentityFile": _path(key) if key else "none",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "ClearAllForwardings": "yes",
        "PermitLocalCommand": "no",
        "ConnectTimeout": "20",
        "ServerAliveInterval": "15",
        "ServerAliveCountMax": "2",
        "LogLevel": "ERROR",
    }
    words = [program.ssh, "-F", "/dev/null"]
    return shlex.join(words + [word for name, value in options.items() for word in ("-o", f"{name}={value}")])


def _path(path: Path) -> str:
    return '"' + str(path).replace("%", "%%") + '"'


def _configuration(settings: Settings) -> dict[str, str]:
    env = {"GIT_CONFIG_COUNT": str(len(settings))}
    for n, (key, value) in enumerate(settings):
        env |= {f"GIT_CONFIG_KEY_{n}": key, f"GIT_CONFIG_VALUE_{n}": value}
    return env

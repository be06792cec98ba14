"""What a component asks of the container that it runs in."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from iarnet.models.base import Value

RESERVED = ("iarnet.", "com.docker.")
"""What the labels begin with by which things on an engine are found."""


def _free(label: str) -> str:
    if label.startswith(RESERVED):
        raise ValueError(f"labels that begin with {' or '.join(RESERVED)} belong to others")
    return label


_ADDRESS = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){3}")
HostName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252}[A-Za-z0-9_])?$")]
Sysctl = Annotated[str, StringConstraints(pattern=r"^(net\.|kernel\.(msg|shm|sem)|fs\.mqueue\.)[a-zA-Z0-9_./-]*$")]
"""Those that count within a container alone."""
Label = Annotated[str, StringConstraints(min_length=1, max_length=256), AfterValidator(_free)]
Address = Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f.:]{2,45}$")]
Folder = Annotated[str, StringConstraints(pattern=r"^/[^\x00:]*$", max_length=4096)]

STOP_S = 10.0
"""From the signal to end until SIGKILL, where nothing else is asked for."""
MAX_STOP_S = 90.0
"""Less than what a removal may take in all."""
PIDS = 512
MAX_PIDS = 4096
MAX_FILE_BYTES = 64 * 1024
"""Of one file. It travels with the component, through every plan and record of a deployment."""


def is_address(host: str) -> bool:
    """A fixed address that a component had elsewhere is one of its names here."""
    return _ADDRESS.fullmatch(host) is not None


class Ulimit(Value):
    """-1: no limit."""

    soft: int = Field(ge=-1)
    hard: int = Field(ge=-1)


class File(Value):
    """A file that is put into the container before it starts. `value` and `secret` are as those of a setting; without
    both, somebody still has to say what is in it. `mode` in the bits of chmod."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$")
    path: Folder
    value: str | None = Field(default=None, max_length=MAX_FILE_BYTES)
    secret: str | None = None
    mode: int = Field(default=0o444, ge=0, le=0o7777)
    uid: int = Field(default=0, ge=0, le=2**31 - 1)
    gid: int = Field(default=0, ge=0, le=2**31 - 1)


class Container(Value):
    """What is not given stays as the image and the engine have it. Nothing here reaches the host or another
    application, so a repository may ask for it: no devices, no folders and no namespaces of the host.

    `network="none"`: no network at all. `hosts`: names that it finds at these addresses; `host-gateway` is the
    engine's host. `dropped`: capabilities that it does without (`ALL`: all but those that it asks for). `tmpfs`:
    folders in memory, with their mount options. `oom_score`: above 0, the kernel ends it earlier when memory runs
    out. `runtime`: one that the engine knows.
    """

    network: Literal["app", "none"] = "app"
    hostname: HostName | None = None
    domain: HostName | None = None
    hosts: dict[HostName, Address | Literal["host-gateway"]] = {}
    dns: tuple[Address, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    init: bool = True
    terminal: bool = False
    stdin: bool = False
    stop_signal: str | None = Field(default=None, pattern=r"^[A-Za-z0-9+-]{1,20}$")
    stop_s: float = Field(default=STOP_S, ge=0, le=MAX_STOP_S)
    read_only: bool = False
    tmpfs: dict[Folder, str] = {}
    shm_bytes: int = Field(default=0, ge=0)
    pids: int = Field(default=PIDS, ge=1, le=MAX_PIDS)
    ulimits: dict[str, Ulimit] = {}
    sysctls: dict[Sysctl, str] = {}
    groups: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    oom_score: int = Field(default=0, ge=0, le=1000)
    runtime: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$")
    labels: dict[Label, str] = {}

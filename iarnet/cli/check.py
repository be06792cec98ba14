"""What one look at the machine says."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from iarnet.config import Settings
from iarnet.models.base import Value

State = Literal["ok", "warn", "fail"]
WAIT_S = 5.0


class Check(Value):
    """`fix` says what to do when it is not `ok`."""

    name: str
    state: State
    says: str
    fix: str = ""


@dataclass(frozen=True)
class Machine:
    """`running`: a node answers on the address of this configuration, so its ports are taken rightly."""

    settings: Settings
    environ: Mapping[str, str]
    running: bool
    now: Callable[[], float] = time.time

"""The difference between desired and actual, as data."""

from typing import Literal

from iarnet.models.base import AppName, Value
from iarnet.models.edge import Condition
from iarnet.models.image import BuildRequest
from iarnet.models.instance import InstanceSpec
from iarnet.models.placement import Placement
from iarnet.models.traffic import ServedPort

Cause = Literal[
    "deploy", "heal", "scale", "migrate", "rollback", "retry", "fork", "recover", "stop", "start", "delete"
]
OperationKind = Literal["build", "serve", "deploy", "ready", "commit", "remove", "release"]


class Operation(Value):
    """One effect. It runs when every operation in `after` has ended well.

    `build` makes an image; `serve` has the gateway listen for `serves` and lead to the instances `admits`, on a
    network with `room` for the instances of the app; `deploy`
    creates or adopts an instance and waits until it is `until`; `ready` waits for one that is deployed already;
    `commit` does nothing itself: all that comes stands before it, and what goes because of that behind it;
    `remove` ends an instance, and with `hold` what it is asked meanwhile waits for its successor; `release` removes
    what an app has on a provider besides instances: its network and, where `volumes` says so, its data.
    """

    id: str
    kind: OperationKind
    component: str = ""
    provider_id: str = ""
    queue: str = ""
    instance: str = ""
    spec: InstanceSpec | None = None
    build: BuildRequest | None = None
    until: Condition = "healthy"
    serves: tuple[ServedPort, ...] = ()
    admits: tuple[str, ...] = ()
    room: int = 0
    hold: bool = False
    volumes: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    reason: str = ""


class Kept(Value):
    """An instance that is already what it should be."""

    instance: str
    component: str
    provider_id: str
    reason: str = "unchanged"


class Lasting(Value):
    """What an operation (or none: it is so already) leaves, and no plan takes back; `what` goes on after "left: "."""

    operation: str = ""
    component: str
    what: str


class Plan(Value):
    """What `iarnet plan` prints and a change executes. `notes` are things a person should know before; `lasting` is
    what would be left if it was undone."""

    app: AppName
    revision: int
    previous_revision: int = 0
    cause: Cause
    operations: tuple[Operation, ...] = ()
    kept: tuple[Kept, ...] = ()
    placement: Placement = Placement()
    notes: tuple[str, ...] = ()
    lasting: tuple[Lasting, ...] = ()

    @property
    def empty(self) -> bool:
        return not self.operations

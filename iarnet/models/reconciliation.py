"""What is there against what is known: what carries our mark, what is wrong with it, and what is done about that."""

from typing import Literal

from pydantic import Field

from iarnet.models.base import Value
from iarnet.models.instance import Instance

BelongingKind = Literal["instance", "network", "volume", "gateway"]


class Belonging(Value):
    """Something on a provider that carries the mark of an owner.

    `id` is the provider's own; `name` what people call it: of an instance its name, of a volume
    `{component}/{volume}`, of a gateway the provider that it stands beside. `astray`: it isn't where a deployment
    would look for what has this name.
    """

    kind: BelongingKind
    id: str
    name: str
    app: str = ""
    component: str = ""
    astray: bool = False
    instance: Instance | None = None


FindingKind = Literal[
    "application", "instance", "endpoint", "service", "network", "volume", "gateway", "lease", "port", "secret"
]
Action = Literal["remove", "adopt", "admit", "forget", "close", "heal", "stop", "keep", "wait"]
Result = Literal["", "done", "left", "failed"]


class Finding(Value):
    """One thing that is not as it should be, and what is to be done about it.

    `remove` it from the provider; `adopt` it, as its row expects exactly it; `admit` it to its traffic; `forget` what
    is recorded; `close` its addresses; `heal` or `stop` its application by a change; `keep` it, as it is data; `wait`
    for the change that runs. `outcome` is "" when nothing was done; `failed` says why in `problem`; `left`: somebody
    else is at it.
    """

    kind: FindingKind = Field(examples=["instance"])
    name: str = Field(examples=["iarnet-shop-web-r1-0"])
    app: str = Field(default="", examples=["shop"])
    id: str = Field(default="", description="the provider's own name for it")
    action: Action = Field(examples=["remove"])
    reason: str = Field(examples=["shop is gone"])
    outcome: Result = ""
    problem: str = ""


class Reconciliation(Value):
    """The input of `Reconcile`: compare one provider with the store, and put right what differs.

    `dry_run` only says what would be done. `remove_volumes`: also those of applications that are gone, with their
    data. `looks`: how often to look, 10 s apart, while a change or a watch is still at something; with more than one
    what the watches have been told already is left to them at first.
    """

    provider_id: str
    dry_run: bool = False
    remove_volumes: bool = False
    looks: int = Field(default=1, ge=1, le=100)


class ProviderReport(Value):
    """`problem`: why the provider could not be compared."""

    provider_id: str = Field(examples=["local-docker"])
    findings: tuple[Finding, ...] = ()
    problem: str = ""
    hint: str = ""

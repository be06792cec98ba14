"""Components while facts about them are still being gathered: what is offered first is the stronger."""

from dataclasses import dataclass, field
from typing import Any

from iarnet.analysis.base import Clue, Profile
from iarnet.analysis.service_table import Service
from iarnet.models.analysis import Evidence, Warning
from iarnet.models.component import Component, EnvVar
from iarnet.models.edge import Edge
from iarnet.models.resources import Resources

COMPARED = ("ports", "working_dir")


@dataclass
class Draft:
    """`facts` by field name of Component. `reads` are the settings that the code looks at."""

    name: str
    root: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    env: dict[str, EnvVar] = field(default_factory=dict)
    reads: dict[str, EnvVar] = field(default_factory=dict)
    profile: Profile | None = None
    service: Service | None = None
    inferred: bool = False
    evidence: list[Evidence] = field(default_factory=list)
    warnings: list[Warning] = field(default_factory=list)

    def offer(self, name: str, value: Any, clue: Clue | None = None, detector: str = "") -> None:
        """Take the value unless a stronger source has said something; a contradiction becomes a warning."""
        if value is None or value == ():
            return
        if name in self.facts:
            self._compare(name, value, clue, detector)
            return
        self.facts[name] = value
        if clue:
            self.witness(clue, detector)

    def witness(self, clue: Clue, detector: str) -> None:
        fact = self.name if clue.field == "component" else f"{self.name}.{clue.field}"
        self.evidence.append(
            Evidence(
                fact=fact,
                value=clue.value[:500],
                file=clue.file,
                line=clue.line,
                confidence=clue.confidence,
                detector=detector,
            )
        )

    def warn(self, code: str, message: str, file: str | None = None, line: int | None = None) -> None:
        self.warnings.append(Warning(code=code, message=message, file=file, line=line))

    def set(self, name: str, value: str | None, secret: str | None = None) -> None:
        """A setting, unless a stronger source gave it a value."""
        known = self.env.get(name)
        if known and (known.value is not None or known.secret):
            return
        required = known.required if known else False
        self.env[name] = EnvVar(name=name, value=value, secret=secret, required=required and value is None)

    def value(self, name: str) -> str | None:
        known = self.env.get(name)
        return known.value if known and not known.secret else None

    def has(self, name: str) -> bool:
        known = self.env.get(name)
        return known is not None and (known.value is not None or known.secret is not None)

    @property
    def kind(self) -> str:
        return str(self.facts.get("kind", "worker"))

    @property
    def port(self) -> int | None:
        ports = self.facts.get("ports", ())
        return ports[0].port if ports else None

    def finish(self) -> Component:
        facts = {name: value for name, value in self.facts.items() if name in Component.model_fields}
        env = dict(sorted(({name: v for name, v in self.reads.items() if name not in self.env} | self.env).items()))
        return Component(**facts | {"name": self.name, "root": self.root or ".", "env": tuple(env.values())})

    def _compare(self, name: str, value: Any, clue: Clue | None, detector: str) -> None:
        known = self.facts[name]
        if name == "resources":
            self.facts[name] = _filled(known, value)
        if name not in COMPARED or known == value:
            return
        if name == "ports" and ({p.port for p in known} & {p.port for p in value} or "PORT" in self.reads):
            return
        shown = (_shown(known), _shown(value))
        place = clue or Clue(name, "", "")
        self.warn(
            "contradiction",
            f"{self.name}: {name} {shown[0]} is declared, but {detector or 'the code'} says {shown[1]}",
            place.file or None,
            place.line,
        )


@dataclass
class Findings:
    """`whole`: the declared structure says everything that there is to run."""

    drafts: list[Draft] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    evidence: list[Evidence] = field(default_factory=list)
    warnings: list[Warning] = field(default_factory=list)
    whole: str = ""

    def names(self) -> list[str]:
        return [draft.name for draft in self.drafts]

    def get(self, name: str) -> Draft | None:
        return next((draft for draft in self.drafts if draft.name == name), None)


def _filled(known: Resources, weaker: Resources) -> Resources:
    """Zero means that nothing was said."""
    return Resources(**{k: getattr(known, k) or getattr(weaker, k) for k in Resources.model_fields})


def _shown(value: Any) -> str:
    return "/".join(str(port.port) for port in value) if isinstance(value, tuple) else str(value)

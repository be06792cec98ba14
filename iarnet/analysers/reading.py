"""The documented answer, read back: what `iarnet.analysis.document` writes, or somebody else who knows its form."""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from iarnet.errors import InvalidInput
from iarnet.models.analysis import Analysis, Evidence, Warning
from iarnet.models.component import HARMLESS_CAPABILITIES, Component
from iarnet.models.edge import Edge
from iarnet.models.resources import MIB, Resources

_COMPONENTS, _EDGES, _EVIDENCE, _WARNINGS = 200, 10_000, 5_000, 500
_HINT = "docs/schemas/analysis.schema.json says what an analysis looks like"
T = TypeVar("T")


def analysis(document: Mapping[str, Any]) -> Analysis:
    """Raises `InvalidInput` for what is no analysis, with the place of the first word that is not understood."""
    return Analysis(
        tree=str(document.get("tree", "")),
        components=_each(document, "components", _component),
        edges=_each(document.get("dag", {}), "edges", Edge.model_validate),
        evidence=_each(document, "evidence", Evidence.model_validate),
        warnings=_each(document, "warnings", Warning.model_validate),
    )


def credible(found: Analysis) -> Analysis:
    """What somebody else says, as far as it can be true. Raises `InvalidInput`: a name that is there twice, an edge
    to nowhere, a component that can't be made, too many of them."""
    if len(found.components) > _COMPONENTS or len(found.edges) > _EDGES:
        most = f"at most {_COMPONENTS} components and {_EDGES} edges are taken"
        raise InvalidInput(f"{len(found.components)} components and {len(found.edges)} edges; {most}")
    names = Counter(component.name for component in found.components)
    if twice := [name for name, times in names.items() if times > 1]:
        raise InvalidInput(f"the component {twice[0]} is there twice", where="components")
    if lost := [end for edge in found.edges for end in (edge.from_, edge.to) if end not in names]:
        raise InvalidInput(f"an edge names {lost[0]}, which is no component", where="edges")
    if odd := [each.name for each in found.components if (each.image is None) == (each.build is None)]:
        raise InvalidInput(f"{odd[0]} needs an image or a build, one of the two", where="components")
    return _withheld(found)


def plain(text: str) -> str:
    """What somebody else has written, as it may be shown."""
    return re.sub(r"[^ -~]", "?", text)[:200]


def _withheld(found: Analysis) -> Analysis:
    """Without what only a user can grant, which nobody who analyses can."""
    warnings = tuple(
        Warning(
            code="capability-withheld",
            message=f"{component.name} is to have {', '.join(component.powers)}, which only you can grant:"
            f' --set {component.name}.capabilities="{" ".join(component.capabilities)}"',
        )
        for component in found.components
        if component.powers
    )
    return found.model_copy(
        update={
            "components": tuple(_harmless(component) for component in found.components),
            "evidence": found.evidence[:_EVIDENCE],
            "warnings": (*warnings, *found.warnings)[:_WARNINGS],
        }
    )


def _harmless(component: Component) -> Component:
    kept = tuple(name for name in component.capabilities if name in HARMLESS_CAPABILITIES)
    return component.model_copy(update={"capabilities": kept})


def _each(parts: Mapping[str, Any], name: str, read: Callable[[Any], T]) -> tuple[T, ...]:
    found = []
    for number, item in enumerate(parts.get(name, ())):
        try:
            found.append(read(item))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = ".".join(str(part) for part in (name, number, *first["loc"]))
            raise InvalidInput(f"{field}: {plain(first['msg'])}", where=field, hint=_HINT) from error
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            place = f"{name}.{number}"
            raise InvalidInput(f"{place}: {plain(str(error))}", where=place, hint=_HINT) from error
    return tuple(found)


def _component(given: Mapping[str, Any]) -> Component:
    fields = {name: value for name, value in given.items() if name not in ("id", "type", "requirements")}
    fields |= {"name": given["id"], "kind": given["type"]}
    if "requirements" in given:
        fields["resources"] = _resources(given["requirements"])
    return Component.model_validate(fields)


def _resources(given: Mapping[str, Any]) -> Resources:
    amounts = {name: float(given.get(name, 0)) for name in ("cpu", "memory", "gpu", "storage")}
    return Resources(
        cpu_millis=round(amounts["cpu"] * 1000),
        memory_bytes=round(amounts["memory"] * MIB),
        storage_bytes=round(amounts["storage"] * MIB),
        gpu_millis=round(amounts["gpu"] * 1000),
    )

"""An analysis as the documented answer, which the API and the command line give alike."""

from typing import Any

from iarnet.models.analysis import Analysis
from iarnet.models.component import Component
from iarnet.models.container import Container
from iarnet.models.resources import MIB


def document(analysis: Analysis) -> dict[str, Any]:
    """In JSON types. `requirements`: cores, MiB, devices."""
    return {
        "tree": analysis.tree,
        "version": analysis.version,
        "components": [_component(component) for component in analysis.components],
        "dag": {"edges": [edge.model_dump(mode="json", exclude_none=True) for edge in analysis.edges]},
        "evidence": [item.model_dump(mode="json", exclude_none=True) for item in analysis.evidence],
        "warnings": [item.model_dump(mode="json", exclude_none=True) for item in analysis.warnings],
    }


def _component(component: Component) -> dict[str, Any]:
    given = component.model_dump(mode="json", exclude_none=True, exclude=_unasked(component))
    if "container" in given:
        given["container"] = component.container.model_dump(mode="json", exclude_defaults=True)
    resources = component.resources
    requirements = {
        "cpu": resources.cpu_millis / 1000,
        "memory": resources.memory_bytes // MIB,
        "gpu": _whole(resources.gpu_millis / 1000),
        "storage": resources.storage_bytes // MIB,
    }
    first = {
        "id": component.name,
        "name": _title(component.name),
        "type": component.kind,
        "language": component.language,
        "framework": component.framework,
        "requirements": requirements,
    }
    rest = {name: value for name, value in given.items() if name not in (*first, "kind", "resources")}
    return first | rest


def _unasked(component: Component) -> dict[str, Any]:
    """What few components ask for, where this one doesn't."""
    seldom: dict[str, Any] = {name: True for name in ("aliases", "files") if not getattr(component, name)}
    if component.container == Container():
        seldom["container"] = True
    if component.build and not component.build.added:
        seldom["build"] = {"added"}
    return seldom


def _whole(number: float) -> int | float:
    return int(number) if number.is_integer() else number


def _title(name: str) -> str:
    """`order-api` -> `Order Api`, as the documented example has it."""
    return " ".join(word.capitalize() for word in name.split("-"))

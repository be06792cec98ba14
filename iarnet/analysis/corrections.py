"""What a user has set (`web.replicas=2`, `api.env.DEBUG=1`) wins over what analysis says; so does what a start has
shown, where nobody has set anything."""

import re
from collections.abc import Callable
from typing import Any, get_args

from pydantic import ValidationError

from iarnet.analysis.names import did_you_mean
from iarnet.analysis.structures.quantities import cpu_millis, memory_bytes, program, seconds
from iarnet.errors import InvalidComponent, InvalidInput
from iarnet.models.analysis import Analysis, Evidence
from iarnet.models.app import Settings
from iarnet.models.component import Component, ComponentKind, Ejection, EnvVar, HealthCheck, Limits, Port

HEALTH_FIELDS = ("type", "path", "service", "port", "command", "interval", "timeout", "start_period", "retries")
LIMIT_FIELDS = tuple(Limits.model_fields)
EJECTION_FIELDS = ("after", "for", "percent")
_GROUPS = {"health": HEALTH_FIELDS, "limits": LIMIT_FIELDS, "ejection": EJECTION_FIELDS}


def apply_corrections(analysis: Analysis, settings: Settings) -> Analysis:
    """The analysis with the settings in it, each recorded as evidence of detector `user`, or `start`.

    Raises `InvalidInput` for an unknown component or field and for a value of the wrong form.
    """
    components = {component.name: component for component in analysis.components}
    evidence = list(analysis.evidence)
    observed = {k: v for k, v in settings.observed.items() if k not in settings.values}
    observed = {k: v for k, v in observed.items() if k.partition(".")[0] in components}
    for key, value in (observed | settings.values).items():
        name, field = _split(key, components)
        before = components[name].port
        components[name] = _corrected(components[name], field, value, key)
        if field == "port" and before:
            _tell_others(components, name, before.port)
        detector = "start" if key in observed else "user"
        shown = "" if ".env." in key else value
        evidence.append(Evidence(fact=key, value=shown, file="settings", detector=detector))
    for key, secret in settings.secrets.items():
        name, field = _split(key, components)
        if field.startswith("file."):
            components[name] = _with_file(components[name], field.removeprefix("file."), secret, key)
        elif field.startswith("env."):
            variable = EnvVar(name=_env_name(field, key), value="{secret}", secret=secret)
            components[name] = _with_env(components[name], variable)
        else:
            hint = f"only {name}.env.NAME and {name}.file.NAME can"
            raise InvalidInput(f"{key} can't be a secret", where=key, hint=hint)
        evidence.append(Evidence(fact=key, value=f"secret {secret}", file="settings", detector="user"))
    changed = {"components": tuple(components.values()), "evidence": tuple(evidence)}
    return analysis.model_copy(update=changed)


def _split(key: str, components: dict[str, Component]) -> tuple[str, str]:
    name, _, field = key.partition(".")
    if name not in components:
        raise InvalidInput(f"there is no component {name!r}", where=key, hint=did_you_mean(name, components))
    known = (*_FIELDS, *(f"{group}.{part}" for group, parts in _GROUPS.items() for part in parts))
    if field not in known and not field.startswith(("env.", "file.")):
        raise InvalidInput(f"a component has no {field!r}", where=key, hint=did_you_mean(field, [*known, "env.NAME"]))
    return name, field


def _corrected(component: Component, field: str, value: str, key: str) -> Component:
    try:
        if field.startswith("env."):
            return _with_env(component, EnvVar(name=_env_name(field, key), value=value))
        if field.startswith("file."):
            raise ValueError("what is in a file is a secret: store it, and name it with --secret")
        if field.startswith("health."):
            return _update(component, health=_health(component, field.removeprefix("health."), value))
        if field.startswith("limits."):
            return _update(component, limits=_limits(component, field.removeprefix("limits."), value))
        if field.startswith("ejection."):
            return _update(component, ejection=_ejection(component, field.removeprefix("ejection."), value))
        return _update(component, **_FIELDS[field](component, value))
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidInput(f"{key}={value[:100]}: {first['msg']}", where=key) from error
    except InvalidComponent as error:
        raise InvalidInput(f"{key}: {error.message}", where=key, hint=error.hint) from error
    except ValueError as error:
        raise InvalidInput(f"{key}: {error}", where=key) from error


def _update(component: Component, **fields: Any) -> Component:
    return Component.model_validate({name: getattr(component, name) for name in Component.model_fields} | fields)


def _env_name(field: str, key: str) -> str:
    name = field.removeprefix("env.")
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]{0,255}", name):
        raise InvalidInput(f"{name[:60]!r} is no name of a setting", where=key, hint="letters, digits and _")
    return name


def _with_env(component: Component, variable: EnvVar) -> Component:
    env = {known.name: known for known in component.env} | {variable.name: variable}
    return _update(component, env=tuple(env[name] for name in sorted(env)))


def _with_file(component: Component, file: str, secret: str, key: str) -> Component:
    """One of its files with the stored secret in it."""
    if file not in [known.name for known in component.files]:
        hint = did_you_mean(file, [known.name for known in component.files])
        raise InvalidInput(f"{component.name} has no file {file!r}", where=key, hint=hint)
    given = {"value": None, "secret": secret}
    files = tuple(f.model_copy(update=given) if f.name == file else f for f in component.files)
    return _update(component, files=files)


def _port(component: Component, value: str) -> dict[str, Any]:
    """The port that the component listens on; what tells it so follows."""
    number = _integer(value)
    old = component.port
    first = (old or Port(port=number)).model_copy(update={"port": number})
    changed: dict[str, Any] = {"ports": (Port.model_validate(first.model_dump()), *component.ports[1:])}
    if component.health and old and component.health.port == old.port:
        changed["health"] = component.health.model_copy(update={"port": number})
    told = [v for v in component.env if v.name == "PORT" and old and v.value == str(old.port)]
    if told:
        changed["env"] = _with_env(component, EnvVar(name="PORT", value=str(number))).env
    return changed


def _tell_others(components: dict[str, Component], moved: str, old: int) -> None:
    """Settings of others that hold `moved:old` follow to the new port."""
    pattern = re.compile(rf"(?<![\w.-]){re.escape(moved)}:{old}(?!\d)")
    port = components[moved].port
    for name, component in components.items():
        env = tuple(
            v.model_copy(update={"value": pattern.sub(f"{moved}:{port.port if port else old}", v.value)})
            if v.value
            else v
            for v in component.env
        )
        components[name] = component.model_copy(update={"env": env})


def _publish(component: Component, value: str) -> dict[str, Any]:
    if not component.ports:
        raise ValueError(f"{component.name} listens on no port; set {component.name}.port first")
    wish = {"true": "auto", "auto": "auto", "yes": "auto", "false": "no", "no": "no"}.get(value.strip().lower())
    host = None if wish else _integer(value)
    first = component.ports[0].model_dump() | {"publish": wish or "exact", "host_port": host}
    return {"ports": (Port.model_validate(first), *component.ports[1:])}


def _kind(_component: Component, value: str) -> dict[str, Any]:
    if value not in get_args(ComponentKind):
        raise ValueError(f"{value[:60]!r} is no kind; {did_you_mean(value, get_args(ComponentKind))}")
    return {"kind": value}


def _command(component: Component, value: str) -> dict[str, Any]:
    """In a generated image too, the command given here runs in place of the image's own."""
    return {"command": program(value, "command"), "start_command": value}


def _resources(amount: str, read: Callable[[str, str], int]) -> Callable[[Component, str], dict[str, Any]]:
    def correct(component: Component, value: str) -> dict[str, Any]:
        return {"resources": component.resources.model_copy(update={amount: read(value, amount)})}

    return correct


def _health(component: Component, field: str, value: str) -> HealthCheck:
    """A path makes it an HTTP check, a service one by gRPC, a command a check by command."""
    facts = (component.health or HealthCheck(port=component.port.port if component.port else None)).model_dump()
    if field == "path":
        facts |= {"type": "http", "path": "/" + value.lstrip("/")}
    elif field == "service":
        facts |= {"type": "grpc", "service": value or None}
    elif field == "command":
        facts |= {"type": "command", "command": program(value, "health.command")}
    elif field in ("interval", "timeout", "start_period"):
        facts[f"{field}_s"] = seconds(value, field)
    else:
        facts[field] = _integer(value) if field in ("port", "retries") else value
    return HealthCheck.model_validate(facts)


def _limits(component: Component, field: str, value: str) -> Limits:
    facts = (component.limits or Limits()).model_dump()
    return Limits.model_validate(facts | {field: None if value == "none" else _integer(value)})


def _ejection(component: Component, field: str, value: str) -> Ejection:
    facts = (component.ejection or Ejection()).model_dump()
    changed = {"for_s": seconds(value, field)} if field == "for" else {field: _integer(value)}
    return Ejection.model_validate(facts | changed)


def _integer(value: str) -> int:
    if not re.fullmatch(r"\s*[0-9]{1,9}\s*", value):
        raise ValueError(f"{value[:60]!r} is no whole number")
    return int(value)


_FIELDS: dict[str, Callable[[Component, str], dict[str, Any]]] = {
    "replicas": lambda _, value: {"replicas": _integer(value)},
    "kind": _kind,
    "image": lambda _, value: {"image": value, "build": None},
    "command": _command,
    "port": _port,
    "publish": _publish,
    "cpu": _resources("cpu_millis", cpu_millis),
    "memory": _resources("memory_bytes", memory_bytes),
    "storage": _resources("storage_bytes", memory_bytes),
    "gpu": _resources("gpu_millis", cpu_millis),
    "user": lambda _, value: {"user": value or None},
    "working_dir": lambda _, value: {"working_dir": value or None},
    "capabilities": lambda _, value: {
        "capabilities": tuple(name.removeprefix("CAP_") for name in value.replace(",", " ").upper().split())
    },
}

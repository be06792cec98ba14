"""Services that nobody declared, and the settings through which components find each other."""

from iarnet.analysis import services
from iarnet.analysis.base import Files
from iarnet.analysis.connections import Connection, connection, login, service_settings, setting
from iarnet.analysis.draft import Draft, Findings
from iarnet.analysis.edges import Pointer, in_browser, pointers, points
from iarnet.analysis.names import unique
from iarnet.analysis.needs import wanted
from iarnet.analysis.service_table import Service
from iarnet.analysis.services import role
from iarnet.models.analysis import Evidence, Warning
from iarnet.models.component import Port


def add_services(findings: Findings) -> None:
    """A component for each service that is used and not declared. A compose file that has the program is believed."""
    for draft in list(findings.drafts):
        if draft.profile is None:
            continue
        present = frozenset(d.service.key for d in findings.drafts if d.service)
        for service, why in wanted(draft, present):
            if service.key in present:
                continue
            if findings.whole == "compose":
                message = f"{draft.name} seems to use {service.key} ({why}), which the compose file does not declare"
                findings.warnings.append(Warning(code="service-not-declared", message=message, severity="info"))
            else:
                findings.drafts.append(_service(findings, draft, service, why))
                present |= {service.key}


def complete_credentials(findings: Findings) -> None:
    """A declared database without a password gets a generated one, as its image refuses to start without."""
    for draft in findings.drafts:
        known = set(draft.env)
        if draft.service is None or draft.inferred or not draft.facts.get("image"):
            continue
        _complete_login(draft, draft.service)
        if draft.service.key == "postgres" and not {"POSTGRES_HOST_AUTH_METHOD", "POSTGRES_PASSWORD_FILE"} & known:
            draft.set("POSTGRES_PASSWORD", "{secret}", f"{draft.name}/password")
        if draft.service.key == "mysql":
            _complete_mysql(draft)


def inject(files: Files, findings: Findings) -> None:
    """Along every edge, the settings that the code reads; where that is unknown, the conventional ones.

    Queues first: with RabbitMQ and Redis, `CELERY_BROKER_URL` means RabbitMQ.
    """
    for edge in sorted(findings.edges, key=lambda edge: edge.type != "queue"):
        source, target = findings.get(edge.from_), findings.get(edge.to)
        if source is None or target is None:
            continue
        told = any(points(name, variable.value, target.name) for name, variable in source.env.items())
        conventional = not told and (source.root is not None or findings.whole != "compose")
        if target.service:
            _tell_service(files, source, target, conventional)
        else:
            _tell_component(findings, source, target, conventional)
    for source in findings.drafts:
        _wire(files, findings, source)
        for pointer in pointers(source, findings):
            target = findings.get(pointer.target)
            if target:
                _point(source, target, pointer)


def _service(findings: Findings, user: Draft, service: Service, why: str) -> Draft:
    draft = Draft(unique(service.key, findings.names()), service=service, inferred=True)
    draft.facts = {"image": service.image, **services.facts(service, service.image, _USER)}
    for variable in services.credentials(service, draft.name):
        secret = f"{draft.name}/{variable.secret}" if variable.secret else None
        draft.env[variable.name] = variable.model_copy(update={"secret": secret})
    place = next((e for e in user.evidence if e.fact == f"{user.name}.dependencies"), None) or next(
        iter(user.evidence), None
    )
    draft.evidence.append(
        Evidence(
            fact=draft.name,
            value=f"{user.name} {why}",
            file=place.file if place else user.root or ".",
            line=place.line if place else None,
            confidence=0.8,
            detector="services",
        )
    )
    return draft


_USER = {"POSTGRES_USER": "app", "POSTGRES_DB": "app"}


def _complete_login(draft: Draft, service: Service) -> None:
    """What is declared without a value, as a cluster takes it from a Secret that is not here, is as for a new one. An
    empty password is none, unless the database is told so: its image refuses it."""
    users, passwords, databases = login(service)
    if not any("ALLOW_EMPTY" in name or name == "POSTGRES_HOST_AUTH_METHOD" for name in draft.env):
        for name in passwords:
            if draft.value(name) == "":
                draft.env[name] = draft.env[name].model_copy(update={"value": None})
    for name in (*users, *databases, *passwords):
        if name in draft.env and name in passwords:
            draft.set(name, "{secret}", f"{draft.name}/password")
        elif name in draft.env:
            draft.set(name, "app")


_MYSQL_ROOT = ("ROOT_PASSWORD", "ALLOW_EMPTY_PASSWORD", "ALLOW_EMPTY_ROOT_PASSWORD", "RANDOM_ROOT_PASSWORD")


def _complete_mysql(draft: Draft) -> None:
    prefix = "MARIADB" if any(name.startswith("MARIADB_") for name in draft.env) else "MYSQL"
    root = [f"{prefix}_{name}" for name in ("ROOT_PASSWORD", "ALLOW_EMPTY_PASSWORD", "RANDOM_ROOT_PASSWORD")]
    if not any(
        draft.has(name) or f"{name}_FILE" in draft.env for name in [*root, f"{prefix}_ALLOW_EMPTY_ROOT_PASSWORD"]
    ):
        draft.set(f"{prefix}_RANDOM_ROOT_PASSWORD", "yes")
        draft.set(f"{prefix}_USER", "app")
        draft.set(f"{prefix}_DATABASE", "app")
    if draft.has(f"{prefix}_USER") and f"{prefix}_PASSWORD_FILE" not in draft.env:
        draft.set(f"{prefix}_PASSWORD", "{secret}", f"{draft.name}/password")


def _tell_service(files: Files, source: Draft, target: Draft, conventional: bool) -> None:
    found = connection(target)
    if found is None:
        return
    if found.secret:
        _fill_passwords(source, found)
    for name, value in service_settings(files, source, found, conventional=conventional).items():
        source.set(name, value, found.secret if "{secret}" in value else None)


def _fill_passwords(source: Draft, found: Connection) -> None:
    """The generated password, where a declaration leaves an empty one."""
    gap = f":@{found.host}"
    for name, variable in source.env.items():
        if variable.value == "" and role(name, found.service.prefixes) == "password":
            source.env[name] = variable.model_copy(update={"value": found.password, "secret": found.secret})
        elif variable.value and gap in variable.value:
            value = variable.value.replace(gap, f":{found.password}@{found.host}")
            source.env[name] = variable.model_copy(update={"value": value, "secret": found.secret})


def _wire(files: Files, findings: Findings, source: Draft) -> None:
    """Settings of which a file says whose address or login they hold: name -> component and part of it."""
    for name, (wanted_name, part) in source.facts.get("wired", {}).items():
        target = findings.get(wanted_name)
        found = connection(target) if target else None
        if target and found:
            value = setting(files, source, found, name, part)
            source.set(name, value, found.secret if value and "{secret}" in value else None)
        elif target and target.port:
            _point(source, target, Pointer(name, target.name, part))


def _tell_component(findings: Findings, source: Draft, target: Draft, conventional: bool) -> None:
    if target.port is None or any(p.target == target.name for p in pointers(source, findings)):
        return
    if conventional:
        name = f"{target.name.upper().replace('-', '_')}_URL"
        source.set(name if not name[0].isdigit() else f"_{name}", _url(target.facts["ports"][0], target.name))


def _point(source: Draft, target: Draft, pointer: Pointer) -> None:
    """What a browser reads needs a public address, which is not known yet."""
    if in_browser(pointer.name):
        target.facts["browsed"] = True
        if not source.has(pointer.name):
            message = f"{pointer.name} of {source.name} is read in the browser: set it to the public address of "
            source.warn("browser-setting", message + target.name)
        return
    port: Port = target.facts["ports"][0]
    values = {
        "url": _url(port, target.name),
        "address": f"{target.name}:{port.port}",
        "host": target.name,
        "port": str(port.port),
    }
    source.set(pointer.name, values[pointer.part])


def _url(port: Port, host: str) -> str:
    schemes = {"http": "http://", "websocket": "ws://", "grpc": "", "tcp": "tcp://", "udp": "udp://"}
    return f"{schemes[port.protocol]}{host}:{port.port}"

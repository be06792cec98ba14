"""How a component is told where a service or another component is: names of settings and their values."""

import re
from dataclasses import dataclass
from urllib.parse import quote

from iarnet.analysis.base import Files
from iarnet.analysis.draft import Draft
from iarnet.analysis.service_table import Service
from iarnet.analysis.services import role

SOURCES = (".py", ".js", ".ts", ".mjs", ".cjs", ".tsx", ".go", ".java", ".kt", ".rb", ".rs", ".php", ".ex", ".exs")
EXAMPLES = (".env.example", ".env.sample", ".env.template")


@dataclass(frozen=True)
class Connection:
    """`password` is a literal, or `{secret}` for the secret that `secret` names."""

    service: Service
    host: str
    port: int
    user: str = ""
    password: str = ""
    secret: str | None = None
    database: str = ""

    def value(self, part: str, scheme: str, options: str = "") -> str | None:
        values = {
            "url": self.url(scheme, options),
            "address": f"{self.host}:{self.port}",
            "host": self.host,
            "port": str(self.port),
            "user": self.user or None,
            "password": self.password or None,
            "database": self.database or None,
        }
        return values[part]

    def url(self, scheme: str, options: str = "") -> str:
        if scheme == "go-mysql":
            return f"{self.user}:{self.password}@tcp({self.host}:{self.port})/{self.database}?parseTime=true"
        password = self.password if self.secret else quote(self.password, safe="")
        login = f"{quote(self.user, safe='')}:{password}@" if self.password else ""
        if scheme.startswith("jdbc:"):
            login = ""
        path = {"postgres": f"/{self.database}", "mysql": f"/{self.database}"}.get(self.service.key, "")
        if self.service.key == "redis":
            path = "/0"
        elif self.service.key == "mongo":
            path = f"/{self.database or 'app'}" + ("?authSource=admin" if login else "")
        return f"{scheme}://{login}{self.host}:{self.port}{path}{options}"


def connection(target: Draft) -> Connection | None:
    """From the settings that the service itself is started with."""
    service = target.service
    if service is None:
        return None
    user, password, database = login(service)
    variable = next((target.env[name] for name in password if target.has(name)), None)
    name = next((target.value(n) for n in user if target.value(n)), None)
    name = name or (_DEFAULT_USER.get(service.key, "") if variable or service.key == "postgres" else "")
    base = next((target.value(n) for n in database if target.value(n)), None)
    ports = [port.port for port in target.facts.get("ports", ()) if port.port == service.port]
    return Connection(
        service=service,
        host=target.name,
        port=ports[0] if ports else target.port or service.port,
        user=name,
        password=(variable.value or "") if variable else "",
        secret=variable.secret if variable else None,
        database=base or (name if service.key == "postgres" else ""),
    )


def login(service: Service) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """The service's own settings for its user, its password and its database."""
    return _LOGIN.get(service.key, ((), (), ()))


_LOGIN: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "postgres": (("POSTGRES_USER",), ("POSTGRES_PASSWORD",), ("POSTGRES_DB",)),
    "mysql": (
        ("MYSQL_USER", "MARIADB_USER"),
        ("MYSQL_PASSWORD", "MARIADB_PASSWORD", "MYSQL_ROOT_PASSWORD", "MARIADB_ROOT_PASSWORD"),
        ("MYSQL_DATABASE", "MARIADB_DATABASE"),
    ),
    "rabbitmq": (("RABBITMQ_DEFAULT_USER",), ("RABBITMQ_DEFAULT_PASS",), ()),
    "mongo": (("MONGO_INITDB_ROOT_USERNAME",), ("MONGO_INITDB_ROOT_PASSWORD",), ("MONGO_INITDB_DATABASE",)),
    "mssql": ((), ("MSSQL_SA_PASSWORD", "SA_PASSWORD"), ()),
    "elasticsearch": ((), ("ELASTIC_PASSWORD",), ()),
    "minio": (("MINIO_ROOT_USER",), ("MINIO_ROOT_PASSWORD",), ()),
}
_DEFAULT_USER = {
    "postgres": "postgres",
    "mysql": "root",
    "rabbitmq": "guest",
    "mongo": "root",
    "mssql": "sa",
    "elasticsearch": "elastic",
    "minio": "minioadmin",
}


def service_settings(files: Files, draft: Draft, target: Connection, *, conventional: bool) -> dict[str, str]:
    """name -> value (with `{secret}` inside) of each setting through which `draft` finds the service."""
    service = target.service
    asked = [name for name, variable in draft.env.items() if variable.value is None and not variable.secret]
    read = {name: part for name in (*draft.reads, *asked) if (part := role(name, service.prefixes))}
    names = read | _framework(draft, service)
    if not names and conventional:
        names = dict.fromkeys(service.conventional, "url")
    found: dict[str, str] = {}
    for name, part in names.items():
        value = setting(files, draft, target, name, part)
        if value is not None:
            found[name] = value
    if names and draft.facts.get("language") == "go" and service.key == "postgres" and "PGHOST" in names:
        found["PGSSLMODE"] = "disable"
    return found


def setting(files: Files, draft: Draft, target: Connection, name: str, part: str) -> str | None:
    """What `name` holds when it is this part of the connection, as `draft` would write it."""
    scheme = _scheme(files, draft, target.service, name) if part == "url" else ""
    return target.value(part, scheme, _options(draft, target.service, scheme))


def _framework(draft: Draft, service: Service) -> dict[str, str]:
    """Spring reads these without naming them in code."""
    if not str(draft.facts.get("framework") or "").lower().startswith("spring"):
        return {}
    if service.family == "sql":
        names = ("SPRING_DATASOURCE_URL", "SPRING_DATASOURCE_USERNAME", "SPRING_DATASOURCE_PASSWORD")
        return dict(zip(names, ("url", "user", "password"), strict=True))
    whole = _SPRING.get(service.key)
    if whole:
        return whole
    prefix = {"redis": "SPRING_DATA_REDIS", "rabbitmq": "SPRING_RABBITMQ"}.get(service.key)
    parts = {"HOST": "host", "PORT": "port", "USERNAME": "user", "PASSWORD": "password"}
    return {f"{prefix}_{suffix}": part for suffix, part in parts.items()} if prefix else {}


_SPRING = {
    "mongo": {"SPRING_DATA_MONGODB_URI": "url"},
    "kafka": {"SPRING_KAFKA_BOOTSTRAP_SERVERS": "address"},
    "elasticsearch": {"SPRING_ELASTICSEARCH_URIS": "url"},
}


def _options(draft: Draft, service: Service, scheme: str) -> str:
    """Go's drivers insist on TLS unless told otherwise; Microsoft's trust no certificate of a server's own making."""
    if service.key == "mssql":
        return ";encrypt=true;trustServerCertificate=true" if scheme.startswith("jdbc:") else ""
    if service.key != "postgres" or scheme.startswith("jdbc:"):
        return ""
    return "?sslmode=disable" if draft.facts.get("language") == "go" else ""


def _scheme(files: Files, draft: Draft, service: Service, name: str) -> str:
    """The service's usual one, unless the code writes another: what comes before `://` decides the driver."""
    if service.family != "sql":
        return service.scheme
    if name.startswith(("SPRING_", "JDBC_")):
        return f"jdbc:{service.scheme}"
    if service.key == "mysql" and draft.facts.get("language") == "go":
        return "go-mysql"
    written = _written(files, draft, service)
    with_driver = [scheme for scheme in written if "+" in scheme]
    if with_driver:
        return with_driver[0]
    return service.scheme if service.scheme in written or not written else written[0]


def _written(files: Files, draft: Draft, service: Service) -> list[str]:
    """Schemes in the code, those apart that it only compares with or replaces."""
    if draft.root is None:
        return []
    stem = {"postgres": "postgres(?:ql)?", "mssql": "mssql|sqlserver"}.get(service.key, "mysql|mariadb")
    root = draft.root

    def read() -> list[str]:
        found = files.grep(rf"\b((?:{stem})(?:\+\w+)?)://", root, (*SOURCES, *EXAMPLES))
        return [m.groups[0] for m in found if not re.search(r"replace|startswith|starts_with|sub\(", m.text)]

    return files.once(f"schemes {stem} {root}", read)

"""Which service a driver, an image or a setting speaks of, and what it takes to run it."""

import re
from collections.abc import Iterable
from functools import lru_cache

from iarnet.analysis.service_table import SERVICES, Service
from iarnet.models.component import EnvVar, HealthCheck, Port, Volume
from iarnet.models.resources import MIB, Resources


def by_key(key: str) -> Service:
    return next(service for service in SERVICES if service.key == key)


def by_image(image: str) -> Service | None:
    """The service that an image is: `registry.example/library/postgres:15` is postgres."""
    parts = split_image(image)[0].split("/")
    names = {parts[-1], "/".join(parts[-2:])}
    return next((service for service in SERVICES if not names.isdisjoint(service.images)), None)


def by_name(name: str, image: str, ports: Iterable[Port]) -> Service | None:
    """The service that an image from elsewhere is: it or its component is called so, and it listens where the service
    does."""
    said = re.split(r"[-_.]", f"{name}-{split_image(image)[0].split('/')[-1]}".lower())
    words = {re.sub(r"\d+$", "", word) for word in said}
    opened = {port.port for port in ports}
    return next((s for s in SERVICES if s.port in opened and not words.isdisjoint(s.images)), None)


def split_image(image: str) -> tuple[str, str]:
    name = image.split("@", 1)[0]
    head, _, tail = name.rpartition(":")
    return (head, tail) if head and "/" not in tail else (name, "")


def by_driver(dependencies: frozenset[str]) -> list[Service]:
    known = {plain for name in dependencies for plain in (name.lower(), _module(name.lower()))}
    return [service for service in SERVICES if service.drivers & known]


def by_setting(name: str) -> Service | None:
    """The service that a setting's name alone points to."""
    return next((service for service in SERVICES if role(name, service.own)), None)


@lru_cache(maxsize=8192)
def role(name: str, prefixes: str) -> str | None:
    """What a setting holds (`url`, `address`, `host`, `port`, `user`, `password`, `database`) by its name."""
    upper = name.upper()
    if upper in _SPECIAL and _SPECIAL[upper][0] in prefixes.split("|"):
        return _SPECIAL[upper][1]
    found = re.fullmatch(rf"(?:[A-Z0-9]+_)*?(?:{prefixes})_?({_SUFFIXES})", upper)
    return _ROLES[found[1]] if found else None


_SPECIAL = {
    "CELERY_RESULT_BACKEND": ("CELERY_RESULT", "url"),
    "CELERY_BROKER": ("CELERY_BROKER", "url"),
    "ELASTICSEARCH_HOSTS": ("ELASTICSEARCH", "url"),
    "SPRING_ELASTICSEARCH_URIS": ("SPRING_ELASTICSEARCH", "url"),
}
_ROLES = {
    **dict.fromkeys(("URL", "URI", "DSN", "CONNECTION_STRING", "CONNECTION_URL", "CONN_STR", "BROKER_URL"), "url"),
    **dict.fromkeys(("ADDR", "ADDRESS", "ENDPOINT", "SERVERS", "HOSTPORT"), "address"),
    **dict.fromkeys(("BROKERS", "BROKER", "BROKER_LIST", "BOOTSTRAP_SERVERS", "BOOTSTRAP_SERVER"), "address"),
    **dict.fromkeys(("HOST", "HOSTNAME", "SERVER", "SERVICE_HOST"), "host"),
    **dict.fromkeys(("PORT", "SERVICE_PORT", "TCP_PORT"), "port"),
    **dict.fromkeys(("USER", "USERNAME", "ACCESS_KEY", "ACCESS_KEY_ID"), "user"),
    **dict.fromkeys(("PASSWORD", "PASS", "PASSWD", "PWD", "SA_PASSWORD"), "password"),
    **dict.fromkeys(("SECRET_KEY", "SECRET_ACCESS_KEY"), "password"),
    **dict.fromkeys(("DB", "NAME", "DATABASE", "DBNAME", "DB_NAME", "DATABASE_NAME"), "database"),
}
_SUFFIXES = "|".join(sorted(_ROLES, key=len, reverse=True))


def facts(service: Service, image: str, env: dict[str, str]) -> dict[str, object]:
    """What running the service takes, as fields of Component. `env`: its settings that have literal values. Of an
    image that is not known only that it is the service."""
    if by_image(image) is None:
        return {"kind": service.kind, "health": HealthCheck(type="tcp", port=service.port, interval_s=5.0)}
    found: dict[str, object] = {
        "kind": service.kind,
        "ports": (Port(port=service.port, protocol="tcp"),),
        "health": _health(service, image, env),
        "resources": Resources(cpu_millis=250, memory_bytes=service.memory_mib * MIB),
        "capabilities": service.capabilities,
    }
    path = _volume(service, split_image(image)[1])
    if path:
        found["volumes"] = (Volume(name="data", path=path),)
    if service.command and split_image(image)[0].endswith(split_image(service.image)[0]):
        found["command"] = service.command
    return found


def _volume(service: Service, version: str) -> str | None:
    """From version 18 on the image of PostgreSQL keeps its data one folder higher."""
    major = re.match(r"\d+", version)
    if service.key == "postgres" and major and int(major[0]) >= 18:
        return "/var/lib/postgresql"
    return service.volume


def _health(service: Service, image: str, env: dict[str, str]) -> HealthCheck:
    """Asked over TCP: while they prepare an empty data folder, PostgreSQL and MySQL answer on their socket only.

    RabbitMQ has commands for this, but the first one that runs before the server writes a cookie that the server
    may not read, and it never starts (tried); its port opens last.
    """
    if service.key == "postgres":
        user = env.get("POSTGRES_USER", "postgres")
        command = ["pg_isready", "-h", "127.0.0.1", "-U", user, "-d", env.get("POSTGRES_DB", user)]
    elif service.key == "mysql":
        tool = "mariadb-admin" if "mariadb" in image else "mysqladmin"
        command = [tool, "ping", "-h", "127.0.0.1", "--silent"]
    elif service.key == "redis":
        command = ["valkey-cli" if "valkey" in image else "redis-cli", "ping"]
    else:
        return HealthCheck(type="tcp", port=_listening(service, env), interval_s=5.0)
    return HealthCheck(type="command", command=tuple(command), interval_s=5.0)


def _listening(service: Service, env: dict[str, str]) -> int:
    """Kafka is often told to listen somewhere else."""
    told = " ".join(env.get(name, "") for name in _LISTENERS)
    listed = [int(number) for number in re.findall(r":(\d{2,5})\b", told)] if service.key == "kafka" else []
    return service.port if not listed or service.port in listed else min(listed[0], 65_535)


_LISTENERS = ("KAFKA_LISTENERS", "KAFKA_CFG_LISTENERS", "KAFKA_ADVERTISED_LISTENERS")


def credentials(service: Service, host: str) -> tuple[EnvVar, ...]:
    """The settings that give a new instance a user `app`, a database `app` and the generated password. A licence is
    for its user to accept: its setting is required and has no value."""
    user, password, database, fixed = _CREDENTIALS.get(service.key, ("", "", "", ()))
    found = [
        EnvVar(name=name, value=value.replace("{host}", host) or None, required=not value) for name, value in fixed
    ]
    found += [EnvVar(name=name, value="app") for name in (user, database) if name]
    if password:
        found.append(EnvVar(name=password, value="{secret}", secret="password"))
    return tuple(found)


_CREDENTIALS: dict[str, tuple[str, str, str, tuple[tuple[str, str], ...]]] = {
    "postgres": ("POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DB", ()),
    "mysql": ("MYSQL_USER", "MYSQL_PASSWORD", "MYSQL_DATABASE", (("MYSQL_RANDOM_ROOT_PASSWORD", "yes"),)),
    "rabbitmq": (
        "RABBITMQ_DEFAULT_USER",
        "RABBITMQ_DEFAULT_PASS",
        "",
        (("RABBITMQ_NODENAME", "rabbit@localhost"),),
    ),
    "mongo": ("MONGO_INITDB_ROOT_USERNAME", "MONGO_INITDB_ROOT_PASSWORD", "MONGO_INITDB_DATABASE", ()),
    "mssql": ("", "MSSQL_SA_PASSWORD", "", (("ACCEPT_EULA", ""),)),
    "minio": ("MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD", "", ()),
    "kafka": (
        "",
        "",
        "",
        (
            ("KAFKA_NODE_ID", "1"),
            ("KAFKA_PROCESS_ROLES", "broker,controller"),
            ("KAFKA_LISTENERS", "PLAINTEXT://:9092,CONTROLLER://:9093"),
            ("KAFKA_ADVERTISED_LISTENERS", "PLAINTEXT://{host}:9092"),
            ("KAFKA_LISTENER_SECURITY_PROTOCOL_MAP", "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT"),
            ("KAFKA_CONTROLLER_LISTENER_NAMES", "CONTROLLER"),
            ("KAFKA_CONTROLLER_QUORUM_VOTERS", "1@localhost:9093"),
            ("KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR", "1"),
            ("KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR", "1"),
            ("KAFKA_TRANSACTION_STATE_LOG_MIN_ISR", "1"),
            ("KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS", "0"),
        ),
    ),
    "elasticsearch": (
        "",
        "",
        "",
        (
            ("discovery.type", "single-node"),
            ("xpack.security.enabled", "false"),
            ("ES_JAVA_OPTS", "-Xms512m -Xmx512m"),
        ),
    ),
    "opensearch": (
        "",
        "",
        "",
        (
            ("discovery.type", "single-node"),
            ("DISABLE_SECURITY_PLUGIN", "true"),
            ("DISABLE_INSTALL_DEMO_CONFIG", "true"),
            ("OPENSEARCH_JAVA_OPTS", "-Xms512m -Xmx512m"),
        ),
    ),
}


def _module(name: str) -> str:
    """A Go module without its major version, a Maven artifact without its group."""
    return re.sub(r"/v\d+$", "", name).rsplit(":", 1)[-1]

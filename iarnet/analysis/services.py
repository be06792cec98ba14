"""Databases, caches and brokers: how to see that one is needed, and how to run it.

Images are the official ones of Docker Hub; capabilities are what their entrypoints need to hand their data folder
to an unprivileged user.
"""

import re
from dataclasses import dataclass

from iarnet.analysis.names import words
from iarnet.models.component import ComponentKind, EnvVar, HealthCheck, Port, Volume
from iarnet.models.resources import MIB, Resources

DROP_PRIVILEGES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID")


@dataclass(frozen=True)
class Service:
    """`drivers` are package names of any ecosystem; `prefixes` begin the names of settings that point to it,
    `own` those of them that no other service shares."""

    key: str
    kind: ComponentKind
    image: str
    images: tuple[str, ...]
    port: int
    scheme: str
    drivers: frozenset[str]
    prefixes: str
    own: str
    conventional: tuple[str, ...]
    volume: str | None = None
    memory_mib: int = 256
    family: str = ""
    capabilities: tuple[str, ...] = DROP_PRIVILEGES


_SQL = "DATABASE|DB|SQLALCHEMY_DATABASE|SQLALCHEMY|SPRING_DATASOURCE|DATASOURCE|JDBC_DATABASE|SQL"

SERVICES = (
    Service(
        key="postgres",
        kind="database",
        image="postgres:15",
        images=("postgres", "postgis", "pgvector", "timescaledb", "timescaledb-ha", "postgresql"),
        port=5432,
        scheme="postgresql",
        drivers=words(
            "psycopg2 psycopg2-binary psycopg psycopg-binary psycopg-c asyncpg pg8000 aiopg pg pg-promise postgres "
            "pg-native slonik @vercel/postgres github.com/lib/pq github.com/jackc/pgx gorm.io/driver/postgres "
            "github.com/go-pg/pg org.postgresql:postgresql postgresql r2dbc-postgresql quarkus-jdbc-postgresql "
            "tokio-postgres npgsql npgsql.entityframeworkcore.postgresql postgrex ext-pgsql ext-pdo_pgsql"
        ),
        prefixes=f"POSTGRES|POSTGRESQL|PG|{_SQL}",
        own="POSTGRES|POSTGRESQL|PG",
        conventional=("DATABASE_URL",),
        volume="/var/lib/postgresql/data",
        family="sql",
    ),
    Service(
        key="mysql",
        kind="database",
        image="mysql:8",
        images=("mysql", "mariadb", "percona", "mysql-server"),
        port=3306,
        scheme="mysql",
        drivers=words(
            "mysql mysql2 mysqlclient pymysql aiomysql asyncmy mysql-connector-python mariadb "
            "github.com/go-sql-driver/mysql gorm.io/driver/mysql mysql-connector-java mysql-connector-j "
            "mariadb-java-client quarkus-jdbc-mysql mysql-connector mysql.data mysqlconnector mysql_async myxql "
            "pomelo.entityframeworkcore.mysql mysql.entityframeworkcore ext-mysqli ext-pdo_mysql trilogy"
        ),
        prefixes=f"MYSQL|MARIADB|{_SQL}",
        own="MYSQL|MARIADB",
        conventional=("DATABASE_URL",),
        volume="/var/lib/mysql",
        memory_mib=768,
        family="sql",
    ),
    Service(
        key="redis",
        kind="cache",
        image="redis:7",
        images=("redis", "valkey", "redis-stack", "redis-stack-server", "redismod", "keydb", "dragonfly"),
        port=6379,
        scheme="redis",
        drivers=words(
            "redis ioredis hiredis aioredis connect-redis django-redis rq bull bullmq bee-queue flask-redis arq "
            "@redis/client github.com/redis/go-redis github.com/go-redis/redis github.com/gomodule/redigo "
            "github.com/hibiken/asynq spring-boot-starter-data-redis spring-boot-starter-data-redis-reactive jedis "
            "lettuce-core redisson quarkus-redis-client valkey iovalkey sidekiq celery[redis] fastapi-cache2[redis] "
            "stackexchange.redis microsoft.extensions.caching.stackexchangeredis predis/predis ext-redis "
            "redix exq laravel/horizon resque deadpool-redis"
        ),
        prefixes="REDIS|REDISCLOUD|VALKEY|CACHE|CELERY_BROKER|CELERY_RESULT|BROKER|SPRING_DATA_REDIS|SPRING_REDIS",
        own="REDIS|REDISCLOUD|VALKEY|SPRING_DATA_REDIS|SPRING_REDIS",
        conventional=("REDIS_URL",),
        memory_mib=128,
    ),
    Service(
        key="rabbitmq",
        kind="queue",
        image="rabbitmq:3",
        images=("rabbitmq",),
        port=5672,
        scheme="amqp",
        drivers=words(
            "pika aio-pika amqplib amqp-connection-manager github.com/rabbitmq/amqp091-go github.com/streadway/amqp "
            "spring-boot-starter-amqp spring-rabbit amqp-client bunny celery[rabbitmq] lapin rabbitmq.client "
            "masstransit.rabbitmq php-amqplib/php-amqplib ext-amqp broadway_rabbitmq sneakers "
            "spring-cloud-starter-bus-amqp spring-cloud-starter-stream-rabbit spring-cloud-stream-binder-rabbit rhea "
            "rabbitmq-amqp-js-client github.com/azure/go-amqp"
        ),
        prefixes="AMQP|RABBITMQ_DEFAULT|RABBITMQ|RABBIT|CLOUDAMQP|BROKER|CELERY_BROKER|SPRING_RABBITMQ",
        own="AMQP|RABBITMQ_DEFAULT|RABBITMQ|RABBIT|CLOUDAMQP|SPRING_RABBITMQ",
        conventional=("AMQP_URL", "RABBITMQ_URL"),
        volume="/var/lib/rabbitmq",
        memory_mib=512,
    ),
    Service(
        key="mongo",
        kind="database",
        image="mongo:7",
        images=("mongo", "mongodb", "mongodb-community-server"),
        port=27017,
        scheme="mongodb",
        drivers=words(
            "pymongo motor mongoengine beanie mongodb mongoose go.mongodb.org/mongo-driver mongodb-driver-sync "
            "spring-boot-starter-data-mongodb spring-boot-starter-data-mongodb-reactive quarkus-mongodb-client "
            "mongodb.driver mongodb/mongodb mongodb/laravel-mongodb ext-mongodb mongoid mongo mongodb_driver"
        ),
        prefixes="MONGO|MONGODB|SPRING_DATA_MONGODB",
        own="MONGO|MONGODB|SPRING_DATA_MONGODB",
        conventional=("MONGODB_URI", "MONGO_URL"),
        volume="/data/db",
        memory_mib=512,
    ),
    Service(
        key="nats",
        kind="queue",
        image="nats:2",
        images=("nats",),
        port=4222,
        scheme="nats",
        drivers=words("nats-py nats github.com/nats-io/nats.go jnats"),
        prefixes="NATS",
        own="NATS",
        conventional=("NATS_URL",),
        memory_mib=64,
        capabilities=(),
    ),
    Service(
        key="memcached",
        kind="cache",
        image="memcached:1",
        images=("memcached",),
        port=11211,
        scheme="memcached",
        drivers=words(
            "pymemcache python-memcached pylibmc memjs memcached github.com/bradfitz/gomemcache dalli "
            "enyimmemcachedcore ext-memcached"
        ),
        prefixes="MEMCACHED|MEMCACHE|MEMCACHIER",
        own="MEMCACHED|MEMCACHE|MEMCACHIER",
        conventional=("MEMCACHED_URL", "MEMCACHE_SERVERS"),
        memory_mib=128,
        capabilities=(),
    ),
)


def by_key(key: str) -> Service:
    return next(service for service in SERVICES if service.key == key)


def by_image(image: str) -> Service | None:
    """The service that an image is: `registry.example/library/postgres:15` is postgres."""
    base = split_image(image)[0].rsplit("/", 1)[-1]
    return next((service for service in SERVICES if base in service.images), None)


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


def role(name: str, prefixes: str) -> str | None:
    """What a setting holds (`url`, `address`, `host`, `port`, `user`, `password`, `database`) by its name."""
    upper = name.upper()
    if upper in _SPECIAL and _SPECIAL[upper][0] in prefixes.split("|"):
        return _SPECIAL[upper][1]
    found = re.fullmatch(rf"(?:[A-Z0-9]+_)*?(?:{prefixes})_?({_SUFFIXES})", upper)
    return _ROLES[found[1]] if found else None


_SPECIAL = {"CELERY_RESULT_BACKEND": ("CELERY_RESULT", "url"), "CELERY_BROKER": ("CELERY_BROKER", "url")}
_ROLES = {
    **dict.fromkeys(("URL", "URI", "DSN", "CONNECTION_STRING", "CONNECTION_URL", "CONN_STR", "BROKER_URL"), "url"),
    **dict.fromkeys(("ADDR", "ADDRESS", "ENDPOINT", "SERVERS", "HOSTPORT"), "address"),
    **dict.fromkeys(("HOST", "HOSTNAME", "SERVER", "SERVICE_HOST"), "host"),
    **dict.fromkeys(("PORT", "SERVICE_PORT", "TCP_PORT"), "port"),
    **dict.fromkeys(("USER", "USERNAME"), "user"),
    **dict.fromkeys(("PASSWORD", "PASS", "PASSWD", "PWD"), "password"),
    **dict.fromkeys(("DB", "NAME", "DATABASE", "DBNAME", "DB_NAME", "DATABASE_NAME"), "database"),
}
_SUFFIXES = "|".join(sorted(_ROLES, key=len, reverse=True))


def facts(service: Service, image: str, env: dict[str, str]) -> dict[str, object]:
    """What running the service takes, as fields of Component. `env`: its settings that have literal values."""
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
        return HealthCheck(type="tcp", port=service.port, interval_s=5.0)
    return HealthCheck(type="command", command=tuple(command), interval_s=5.0)


def credentials(service: Service) -> tuple[EnvVar, ...]:
    """The settings that give a new instance a user `app`, a database `app` and the generated password."""
    user, password, database, fixed = _CREDENTIALS.get(service.key, ("", "", "", ()))
    found = [EnvVar(name=name, value=value) for name, value in fixed]
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
}


def _module(name: str) -> str:
    """A Go module without its major version, a Maven artifact without its group."""
    return re.sub(r"/v\d+$", "", name).rsplit(":", 1)[-1]

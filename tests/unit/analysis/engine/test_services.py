"""Services that a driver asks for: what runs them, and what they are called in settings."""

import pytest

from iarnet.analysis.engine import analyze
from iarnet.analysis.memory import MemoryTree
from iarnet.analysis.service_table import SERVICES
from iarnet.models.analysis import Analysis
from iarnet.models.component import Component


def node(package: str, code: str) -> Analysis:
    manifest = f'{{"scripts": {{"start": "node a.js"}}, "dependencies": {{"express": "4", "{package}": "1"}}}}'
    server = f"require('express')().listen(3000)\n{code}\n"
    return analyze(MemoryTree({"package.json": manifest, "a.js": server}))


def component(analysis: Analysis, name: str) -> Component:
    return next(c for c in analysis.components if c.name == name)


def env(found: Component) -> dict[str, str | None]:
    return {variable.name: variable.value for variable in found.env}


@pytest.mark.parametrize(
    ("package", "setting", "service", "value"),
    [
        ("kafkajs", "KAFKA_BROKERS", "kafka", "kafka:9092"),
        ("node-rdkafka", "KAFKA_BOOTSTRAP_SERVERS", "kafka", "kafka:9092"),
        ("mssql", "MSSQL_HOST", "mssql", "mssql"),
        ("tedious", "DB_USER", "mssql", "sa"),
        ("@elastic/elasticsearch", "ELASTICSEARCH_URL", "elasticsearch", "http://elasticsearch:9200"),
        ("@elastic/elasticsearch", "ELASTICSEARCH_HOSTS", "elasticsearch", "http://elasticsearch:9200"),
        ("@opensearch-project/opensearch", "OPENSEARCH_HOST", "opensearch", "opensearch"),
        ("minio", "MINIO_ENDPOINT", "minio", "minio:9000"),
        ("minio", "MINIO_ACCESS_KEY", "minio", "app"),
        ("nats", "NATS_URL", "nats", "nats://nats:4222"),
        ("memjs", "MEMCACHED_SERVERS", "memcached", "memcached:11211"),
    ],
)
def test_a_driver_brings_its_service_and_its_address(package: str, setting: str, service: str, value: str) -> None:
    analysis = node(package, f"const at = process.env.{setting}")
    api = component(analysis, "api")
    assert env(api)[setting] == value
    assert any(edge.from_ == "api" and edge.to == service for edge in analysis.edges)
    assert component(analysis, service).ports[0].protocol == "tcp"


def test_kafka_tells_its_clients_where_it_is() -> None:
    kafka = component(node("kafkajs", ""), "kafka")
    assert env(kafka)["KAFKA_ADVERTISED_LISTENERS"] == "PLAINTEXT://kafka:9092"
    assert (kafka.kind, kafka.volumes) == ("queue", ())


def test_a_licence_is_for_its_user_to_accept() -> None:
    mssql = component(node("mssql", ""), "mssql")
    licence = next(variable for variable in mssql.env if variable.name == "ACCEPT_EULA")
    assert licence.required
    assert licence.value is None
    assert next(variable for variable in mssql.env if variable.name == "MSSQL_SA_PASSWORD").secret == "mssql/password"


def test_what_keeps_files_is_told_where_and_gets_a_volume() -> None:
    minio = component(node("minio", ""), "minio")
    assert minio.command == ("server", "/data")
    assert [volume.path for volume in minio.volumes] == ["/data"]


def test_spring_is_told_without_naming_the_setting() -> None:
    artifact = "<dependency><groupId>org.springframework.{}</groupId><artifactId>{}</artifactId></dependency>"
    wanted = artifact.format("boot", "spring-boot-starter-web") + artifact.format("kafka", "spring-kafka")
    pom = (
        "<project><groupId>a</groupId><artifactId>b</artifactId><version>1</version>"
        "<parent><groupId>org.springframework.boot</groupId><artifactId>spring-boot-starter-parent</artifactId>"
        f"<version>3.3.0</version></parent><dependencies>{wanted}</dependencies></project>"
    )
    code = "package a;\n@SpringBootApplication\npublic class A { public static void main(String[] a) {} }\n"
    analysis = analyze(MemoryTree({"pom.xml": pom, "src/main/java/a/A.java": code}))
    program = next(c for c in analysis.components if c.build)
    assert env(program)["SPRING_KAFKA_BOOTSTRAP_SERVERS"] == "kafka:9092"


def test_no_image_and_no_key_is_two_services() -> None:
    images = [image for service in SERVICES for image in service.images]
    assert len(images) == len(set(images))
    assert len({service.key for service in SERVICES}) == len(SERVICES)


@pytest.mark.parametrize(
    ("listeners", "port"),
    [("PLAINTEXT://kafka:29092,HOST://localhost:9092", 9092), ("PLAINTEXT://:29092", 29092), ("", 9092)],
)
def test_a_declared_kafka_is_asked_where_it_listens(listeners: str, port: int) -> None:
    compose = (
        f"services:\n  k: {{image: confluentinc/cp-kafka:7.8.0, environment: {{KAFKA_LISTENERS: '{listeners}'}}}}\n"
    )
    health = component(analyze(MemoryTree({"compose.yaml": compose})), "k").health
    assert health is not None
    assert health.port == port


def test_somebody_elses_minio_is_started_as_its_image_says() -> None:
    compose = "services:\n  a: {image: 'quay.io/minio/minio:1'}\n  b: {image: 'bitnami/minio:1'}\n"
    analysis = analyze(MemoryTree({"compose.yaml": compose}))
    assert [component(analysis, name).command for name in "ab"] == [("server", "/data"), None]


def test_what_the_program_asks_for_before_it_uses_it_is_not_needed() -> None:
    def services(package: str, code: str) -> set[str]:
        return {c.name for c in node(package, code).components if c.image}

    assert services("redis", "connect(process.env.REDIS_URL)") == {"redis"}
    for asking in ("const on = !!process.env.REDIS_URL", "if (process.env.REDIS_URL) connect(process.env.REDIS_URL)",
                   "const c = process.env.REDIS_URL ? connect(process.env.REDIS_URL) : new Map()"):  # fmt: skip
        assert services("redis", asking) == set(), asking
    assert services("redis", "if (!process.env.REDIS_URL) throw new Error('no')") == {"redis"}
    assert services("pg", "const ssl = process.env.DATABASE_URL ? {} : false") == {"postgres"}, "a database it needs"


def test_an_image_from_elsewhere_is_known_by_its_name_and_its_port() -> None:
    text = "services:\n  {}:\n    image: acme/{}:1\n    ports: ['{}']\n"

    def kind(name: str, image: str, port: int) -> str:
        return component(analyze(MemoryTree({"compose.yaml": text.format(name, image, port)})), name).kind

    assert kind("broker", "acme-kafka", 9092) == "queue"
    assert kind("postgres", "upgrading", 5432) == "database"
    assert kind("kafka-manager", "kafka-manager", 9000) == "web"


def test_a_generated_password_fills_the_gaps_that_an_unset_one_leaves() -> None:
    compose = (
        "services:\n  web:\n    build: .\n    depends_on: [db]\n"
        "    environment: ['URL=postgresql://me:${PASSWORD}@db:5432/shop', 'DB_PASSWORD=${PASSWORD}']\n"
        "  db:\n    image: postgres:15\n    environment: [POSTGRES_USER=me, 'POSTGRES_PASSWORD=${PASSWORD}']\n"
    )
    files = {"Dockerfile": "FROM scratch\nCMD x\n", "compose.yaml": compose}
    web = env(component(analyze(MemoryTree(files)), "web"))
    assert web == {"URL": "postgresql://me:{secret}@db:5432/shop", "DB_PASSWORD": "{secret}"}
    given = env(component(analyze(MemoryTree({**files, ".env": "PASSWORD=x\n"})), "web"))
    assert given == {"URL": "postgresql://me:x@db:5432/shop", "DB_PASSWORD": "x"}
    trusting = compose.replace("[POSTGRES_USER", "[POSTGRES_HOST_AUTH_METHOD=trust, POSTGRES_USER")
    open_to_all = env(component(analyze(MemoryTree({**files, "compose.yaml": trusting})), "web"))
    assert open_to_all == {"URL": "postgresql://me:@db:5432/shop", "DB_PASSWORD": ""}


def test_a_service_s_image_with_a_command_of_its_own_may_be_a_client() -> None:
    compose = (
        "services:\n  db:\n    image: postgres:15\n  copies:\n    build: copies\n    environment: {PGHOST: db}\n"
    )
    files = {"compose.yaml": compose, "copies/Dockerfile": "FROM postgres:15\nENTRYPOINT /copy cron\n"}
    assert component(analyze(MemoryTree(files)), "copies").kind == "worker"
    alone = {**files, "compose.yaml": compose.replace("PGHOST: db", "PGDATA: /d")}
    assert component(analyze(MemoryTree(alone)), "copies").kind == "database"


def test_a_tool_for_three_kinds_of_sql_servers_brings_none_of_them() -> None:
    manifest = '{"scripts": {"start": "node a.js"}, "dependencies": {"pg": "1", "mysql2": "1", "mssql": "1"}}'
    files = {"package.json": manifest, "a.js": "require('http').createServer().listen(3000)\n"}
    assert [c.name for c in analyze(MemoryTree(files)).components] == ["api"]

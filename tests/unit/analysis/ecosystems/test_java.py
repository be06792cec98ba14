import pytest

from iarnet.analysis.ecosystems.java import Java
from iarnet.analysis.services import by_driver
from tests.unit.analysis.ecosystems.recognising import ask, clue, codes, found, given, optional, port, required

J = Java()
MAIN = "package shop;\npublic class App {\n  public static void main(String[] args) {%s}\n}\n"
SOURCE = "src/main/java/shop/App.java"
RESOURCES = "src/main/resources"


def pom(*dependencies: str, parent: str = "", plugins: str = "", more: str = "") -> str:
    listed = "".join(
        f"<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId></dependency>"
        for group, _, artifact in (d.partition(":") for d in dependencies)
    )
    above = f"<parent><groupId>{parent}</groupId><artifactId>p</artifactId></parent>" if parent else ""
    return (
        f'<project xmlns="http://maven.apache.org/POM/4.0.0">{above}<artifactId>shop</artifactId>{more}'
        f"<dependencies>\n{listed}</dependencies><build><plugins>{plugins}</plugins></build></project>"
    )


SPRING = pom(
    "org.springframework.boot:spring-boot-starter-web",
    "org.postgresql:postgresql",
    parent="org.springframework.boot",
    plugins="<plugin><artifactId>spring-boot-maven-plugin</artifactId></plugin>",
)


def test_folders_of_another_kind() -> None:
    assert ask(J, {SOURCE: MAIN % ""}) is None


def test_spring_boot() -> None:
    settings = "server.port=${PORT:8090}\nspring.datasource.url=${DATABASE_URL}\nspring.x=${NAME:shop}\n"
    profile = found(J, {"pom.xml": SPRING, SOURCE: MAIN % "", f"{RESOURCES}/application.properties": settings})
    assert (profile.framework, profile.kind, port(profile)) == ("spring-boot", "api", 8090)
    assert profile.start_command == "java -jar app.jar"
    assert (given(profile), required(profile), optional(profile)) == ({"PORT": "8090"}, {"DATABASE_URL"}, {"NAME"})
    assert {"org.postgresql:postgresql", "postgresql"} <= profile.dependencies
    assert clue(profile, "ports") == ("8090", f"{RESOURCES}/application.properties", 1)


def test_vertx_is_told_the_port_of_its_configuration() -> None:
    launched = pom("io.vertx:vertx-web", plugins="<plugin><artifactId>vertx-maven-plugin</artifactId></plugin>")
    verticle = "package shop;\npublic class App extends AbstractVerticle {}\n"
    settings = '{"http.port": 2321, "word": "x"}'
    profile = found(J, {"pom.xml": launched, SOURCE: verticle, "src/main/conf/web.json": settings})
    assert port(profile) == 2321
    assert profile.start_command == "java -jar app.jar -conf '{\"http.port\": 2321}'"


def test_the_port_in_yaml_and_the_health_of_actuator() -> None:
    files = {
        "pom.xml": SPRING.replace("</dependencies>", "<dependency><groupId>org.springframework.boot</groupId>"
                                  "<artifactId>spring-boot-starter-actuator</artifactId></dependency></dependencies>"),
        SOURCE: MAIN % "", f"{RESOURCES}/application.yml": "spring:\n  a: b\nserver:\n  port: 8091\n",
    }  # fmt: skip
    profile = found(J, files)
    assert port(profile) == 8091
    assert profile.health
    assert profile.health.path == "/actuator/health"


@pytest.mark.parametrize(
    ("dependency", "framework", "opened", "command"),
    [
        ("io.quarkus:quarkus-rest", "quarkus", 8080, "java -jar quarkus-run.jar"),
        ("io.micronaut:micronaut-http-server", "micronaut", 8080, "java -cp 'app.jar:lib/*' shop.App"),
        ("io.javalin:javalin", "javalin", 7070, "java -cp 'app.jar:lib/*' shop.App"),
    ],
)
def test_other_frameworks(dependency: str, framework: str, opened: int, command: str) -> None:
    profile = found(J, {"pom.xml": pom(dependency), SOURCE: MAIN % ""})
    assert (profile.framework, port(profile), profile.start_command) == (framework, opened, command)


@pytest.mark.parametrize(
    ("code", "opened"),
    [
        ("HttpServer.create(new InetSocketAddress(8123), 0);", 8123),
        ("int PORT = 8124; HttpServer.create(new InetSocketAddress(PORT), 0);", 8124),
        ('app.start(Integer.parseInt(System.getenv().getOrDefault("PORT", "8125")));', 8125),
    ],
)
def test_plain_servers(code: str, opened: int) -> None:
    profile = found(J, {"pom.xml": pom(), SOURCE: MAIN % code})
    assert (profile.kind, port(profile)) == ("api", opened)
    assert 'CMD ["java", "-cp", "app.jar:lib/*", "shop.App"]' in (profile.recipe or "")


def test_a_program_without_a_server() -> None:
    once = found(J, {"pom.xml": pom(), SOURCE: MAIN % ""})
    used = MAIN % "com.rabbitmq.client.Channel channel;"
    listening = found(J, {"pom.xml": pom("com.rabbitmq:amqp-client"), SOURCE: used})
    assert [once.kind, listening.kind] == ["job", "worker"]


def test_a_client_that_no_code_imports_is_none() -> None:
    files = {"pom.xml": pom("io.lettuce:lettuce-core", "org.postgresql:postgresql"), SOURCE: MAIN % ""}
    assert {service.key for service in by_driver(found(J, files).dependencies)} == {"postgres"}
    files[SOURCE] = f"import io.lettuce.core.RedisClient;\n{MAIN % ''}"
    assert {service.key for service in by_driver(found(J, files).dependencies)} == {"postgres", "redis"}


def test_gradle() -> None:
    files = {
        "settings.gradle": "",
        "build.gradle.kts": 'plugins { id("org.springframework.boot") version "3" }\n'
        "java { toolchain { languageVersion = JavaLanguageVersion.of(21) } }\n"
        'dependencies {\n  implementation("org.springframework.boot:spring-boot-starter-web")\n}\n',
        SOURCE: MAIN % "",
    }
    profile = found(J, files)
    assert (profile.framework, port(profile)) == ("spring-boot", 8080)
    assert (profile.recipe or "").startswith("FROM gradle:8-jdk21 AS build\n")
    wrapped = found(J, {**files, "gradlew": ""}).recipe or ""
    assert wrapped.startswith("FROM eclipse-temurin:21-jdk AS build\n")
    assert '"sh", "./gradlew"' in wrapped


@pytest.mark.parametrize(
    ("version", "image"), [("17", 17), ("1.8", 8), ("11", 11), ("14", 17), ("21", 21), ("25", 21), ("${x}", 17)]
)
def test_versions(version: str, image: int) -> None:
    more = f"<properties><java.version>{version}</java.version></properties>"
    recipe = found(J, {"pom.xml": pom(more=more), SOURCE: MAIN % ""}).recipe or ""
    assert recipe.startswith(f"FROM maven:3-eclipse-temurin-{image} AS build\n")


def test_modules_are_built_from_their_parent() -> None:
    files = {
        "pom.xml": pom(
            more="<modules>\n<module>api</module><module>lib</module></modules>", parent="org.springframework.boot"
        ),
        "api/pom.xml": SPRING,
        f"api/{SOURCE}": MAIN % "",
        "lib/pom.xml": pom(),
    }
    assert not found(J, files).runnable
    assert not found(J, files, "lib").runnable
    api = found(J, files, "api")
    assert api.context == "."
    assert '"-pl", "api", "-am"' in (api.recipe or "")


@pytest.mark.parametrize(
    "text",
    ["", "<project", "no xml", '<!DOCTYPE p [<!ENTITY a "b">]><project>&a;</project>', "<a>" * 5000 + "</a>" * 5000],
)
def test_broken_manifests(text: str) -> None:
    profile = found(J, {"pom.xml": text})
    assert not profile.runnable
    assert codes(profile) == (["broken-manifest"] if text[:3] != "<a>" else [])


KTOR = """
plugins { alias(libs.plugins.kotlin.jvm) }
dependencies {
    implementation(libs.ktor.server.netty)
    runtimeOnly(libs.bundles.data)
    testImplementation(libs.lettuce)
}
"""
CATALOGUE = """
[libraries]
ktor-server-netty = { module = "io.ktor:ktor-server-netty", version = "3" }
driver_postgres = { group = "org.postgresql", name = "postgresql" }
lettuce = "io.lettuce:lettuce-core:6"
[bundles]
data = ["driver_postgres"]
[plugins]
kotlin-jvm = { id = "org.jetbrains.kotlin.jvm", version = "2" }
"""


@pytest.mark.parametrize(
    ("code", "more", "opened", "setting"),
    [
        ("embeddedServer(Netty, port = 8085) {}", {}, 8085, None),
        ('embeddedServer(Netty, System.getenv("PORT")?.toInt() ?: 9000) {}', {}, 9000, "PORT"),
        (
            "",
            {"application.conf": "ktor {\n  deployment {\n    port = 9001\n    port = ${?HTTP_PORT}\n"},
            9001,
            "HTTP_PORT",
        ),
        ("", {"application.yaml": "ktor:\n  deployment:\n    port: 9002\n"}, 9002, None),
        ("", {}, 8080, None),
    ],
)
def test_ktor_from_a_version_catalogue(code: str, more: dict[str, str], opened: int, setting: str | None) -> None:
    files = {
        "settings.gradle.kts": "",
        "build.gradle.kts": KTOR,
        "gradle/libs.versions.toml": CATALOGUE,
        "src/main/kotlin/App.kt": f"package shop\nfun main() {{ {code} }}\n",
        **{f"src/main/resources/{name}": text for name, text in more.items()},
    }
    profile = found(J, files)
    assert (profile.framework, profile.kind, port(profile), profile.port_env) == ("ktor", "api", opened, setting)
    assert {service.key for service in by_driver(profile.dependencies)} == {"postgres"}


def test_a_client_of_ktor_serves_nothing() -> None:
    files = {"build.gradle.kts": 'dependencies { implementation("io.ktor:ktor-client-core:3") }', SOURCE: MAIN % ""}
    assert (found(J, files).framework, found(J, files).kind) == (None, "job")

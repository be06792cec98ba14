"""Which services and which other components a program uses, where nothing declares it."""

from iarnet.analysis.engine import analyze
from iarnet.analysis.memory import MemoryTree

MAIN = "class App { public static void main(String[] a) {} }"
WEB = ("org.springframework.boot", "spring-boot-starter-web")
CLOUD = "org.springframework.cloud"


def pom(*dependencies: tuple[str, str], modules: str = "") -> str:
    listed = "".join(
        f"<dependency><groupId>{g}</groupId><artifactId>{a}</artifactId></dependency>" for g, a in dependencies
    )
    return f"<project>{modules}<dependencies>{listed}</dependencies></project>"


def program(folder: str, manifest: str, **more: str) -> dict[str, str]:
    return {f"{folder}/pom.xml": manifest, f"{folder}/src/main/java/App.java": MAIN, **more}


def edges(files: dict[str, str]) -> set[tuple[str, str]]:
    return {(edge.from_, edge.to) for edge in analyze(MemoryTree(files)).edges}


def test_of_two_databases_of_a_kind_the_nearest_is_used() -> None:
    database = "FROM postgres:15\nCOPY init.sql /docker-entrypoint-initdb.d/\n"
    files = {
        "src/accounts/accounts-db/Dockerfile": database,
        "src/ledger/ledger-db/Dockerfile": database,
        "src/accounts/users/requirements.txt": "flask\npsycopg2\n",
        "src/accounts/users/app.py": "from flask import Flask\napp = Flask(__name__)\n",
        "src/ledger/reader/requirements.txt": "flask\npsycopg2\n",
        "src/ledger/reader/app.py": "from flask import Flask\napp = Flask(__name__)\n",
    }
    assert edges(files) == {("users", "accounts-db"), ("reader", "ledger-db")}


def test_of_two_databases_of_a_kind_a_value_or_a_declaration_tells() -> None:
    files = {
        "compose.yaml": "services:\n  stock:\n    image: postgres:15\n  money:\n    image: postgres:15\n"
        "  reader:\n    build: reader\n    depends_on: [money]\n"
        "  writer:\n    build: reader\n    environment: {ConnectionStrings__Db: 'Server=money;Port=5432'}\n",
        "reader/requirements.txt": "flask\npsycopg2\n",
        "reader/app.py": "from flask import Flask\napp = Flask(__name__)\n",
    }
    assert edges(files) == {("reader", "money"), ("writer", "money")}


def test_halves_of_a_library_and_addresses_of_a_gateway() -> None:
    registry = pom((CLOUD, "spring-cloud-starter-netflix-eureka-server"))
    client = pom(WEB, (CLOUD, "spring-cloud-starter-netflix-eureka-client"))
    routes = {"gateway/src/main/resources/application.yml": "routes:\n  - uri: lb://orders\n"}
    files = {
        **program("registry", registry),
        **program("gateway", client, **routes),
        **program("acme-orders", client),
    }
    assert edges(files) == {("gateway", "registry"), ("acme-orders", "registry"), ("gateway", "acme-orders")}


def test_a_database_within_a_program_is_used_unless_its_settings_lead_elsewhere() -> None:
    both = pom(WEB, ("com.h2database", "h2"), ("org.postgresql", "postgresql"))
    settings = "src/main/resources/application"
    other_profile = {f"shop/{settings}-prod.properties": "spring.datasource.url=jdbc:postgresql://db/shop\n"}
    every_profile = {f"shop/{settings}.properties": "spring.datasource.url=jdbc:postgresql://db/shop\n"}
    assert edges(program("shop", both, **other_profile)) == set()
    assert edges(program("shop", both, **every_profile)) == {("shop", "postgres")}


def test_a_program_for_several_databases_beside_sqlite_needs_none() -> None:
    drivers = ["github.com/lib/pq", "github.com/go-sql-driver/mysql", "modernc.org/sqlite"]
    files = {"main.go": 'package main\nimport "net/http"\nfunc main() { http.ListenAndServe(":80", nil) }\n'}

    def module(names: list[str]) -> str:
        return "module example.org/memo\nrequire (\n" + "".join(f"\t{name} v1.0.0\n" for name in names) + ")\n"

    assert edges({**files, "go.mod": module(drivers)}) == set()
    assert edges({**files, "go.mod": module([drivers[0], drivers[2]])}) == {("api", "postgres")}


def test_a_tool_for_other_peoples_servers_needs_none_of_them() -> None:
    drivers = ["pg", "mysql2", "mongodb", "redis", "kafkajs"]
    listed = ", ".join(f'"{name}": "1"' for name in ["express", *drivers])
    files = {"package.json": f'{{"dependencies": {{{listed}}}}}', "index.js": "require('express')().listen(3001)\n"}
    assert edges(files) == set()


def test_what_a_framework_merely_offers_is_not_needed() -> None:
    settings = "<?php return ['host' => env('REDIS_HOST', '127.0.0.1'), 'servers' => env('MEMCACHED_HOST')];"
    files = {
        "composer.json": '{"require": {"laravel/framework": "^12", "predis/predis": "^2"}}',
        "artisan": "",
        "public/index.php": "<?php",
        "config/database.php": settings,
    }
    assert edges({**files, ".env.example": "DB_CONNECTION=sqlite\nCACHE_STORE=database\n"}) == set()
    assert edges({**files, ".env.example": "DB_CONNECTION=sqlite\nCACHE_STORE=redis\n"}) == {("web", "redis")}
    assert edges({**files, ".env.example": "DB_HOST=localhost\n"}) == {("web", "mysql")}


def test_dependencies_of_the_parts_that_a_program_is_made_of() -> None:
    driver = '<PackageReference Include="Aspire.Npgsql" Version="9" />'
    dotnet = {
        "src/Api/Api.csproj": '<Project Sdk="Microsoft.NET.Sdk.Web"><ItemGroup>'
        '<ProjectReference Include="..\\Data\\Data.csproj" /></ItemGroup></Project>',
        "src/Data/Data.csproj": f'<Project Sdk="Microsoft.NET.Sdk"><ItemGroup>{driver}</ItemGroup></Project>',
        "src/AppHost/AppHost.csproj": '<Project Sdk="Aspire.AppHost.Sdk/9.0.0"><PropertyGroup>'
        "<OutputType>Exe</OutputType></PropertyGroup></Project>",
    }
    assert edges(dotnet) == {("api", "postgres")}
    gradle = {
        "settings.gradle": "include 'web', 'store:jdbc'\n",
        "web/build.gradle": "dependencies {\n  implementation project(':store:jdbc')\n"
        "  implementation 'org.springframework.boot:spring-boot-starter-web:3.0.0'\n}\n",
        "web/src/main/java/org/acme/examples/App.java": MAIN,
        "store/jdbc/build.gradle": "dependencies {\n  runtimeOnly 'org.postgresql:postgresql:42'\n}\n",
    }
    assert edges(gradle) == {("web", "postgres")}
    node = {
        "package.json": '{"workspaces": ["apps/*", "packages/*"]}',
        "apps/web/package.json": '{"scripts": {"start": "node a"}, "dependencies": {"express": "4", "@a/db": "*"}}',
        "apps/web/a.js": "require('express')().listen(3000)\n",
        "packages/db/package.json": '{"name": "@a/db", "dependencies": {"pg": "8"}}',
    }
    assert edges(node) == {("web", "postgres")}

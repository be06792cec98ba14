import json

import pytest

from iarnet.analysis.document import document
from iarnet.analysis.ecosystems.python import Python
from iarnet.analysis.edges import points
from iarnet.analysis.engine import analyze
from iarnet.analysis.memory import MemoryTree
from iarnet.errors import InvalidComponent, NothingToRun
from iarnet.models.analysis import Analysis
from iarnet.models.component import HARMLESS_CAPABILITIES, Build, Component, EnvVar, HealthCheck, Port
from iarnet.models.resources import MIB

PYTHON = (Python(),)
FLASK = "import os\nfrom flask import Flask\napp = Flask(__name__)\n"


def flask(*reads: str, requirements: str = "", root: str = "") -> dict[str, str]:
    """A Flask program that reads these settings."""
    lines = "".join(f"V{number} = os.environ[{name!r}]\n" for number, name in enumerate(reads))
    prefix = f"{root}/" if root else ""
    packages = "\n".join(["flask", "gunicorn", *requirements.split()])
    return {f"{prefix}app.py": FLASK + lines, f"{prefix}requirements.txt": packages}


def run(files: dict[str, str]) -> Analysis:
    return analyze(MemoryTree(files), PYTHON)


def named(analysis: Analysis, name: str) -> Component:
    return next(component for component in analysis.components if component.name == name)


def names(analysis: Analysis) -> list[str]:
    return [component.name for component in analysis.components]


def edges(analysis: Analysis) -> list[tuple[str, str, str, str]]:
    return [(edge.from_, edge.to, edge.type, edge.condition) for edge in analysis.edges]


def env(component: Component) -> dict[str, tuple[str | None, str | None]]:
    return {variable.name: (variable.value, variable.secret) for variable in component.env}


def codes(analysis: Analysis) -> list[str]:
    return [warning.code for warning in analysis.warnings]


# ── nothing, or nothing that can be


@pytest.mark.parametrize("files", [{}, {"README.md": "# hi"}, {"lib/x.txt": "x"}])
def test_nothing_to_run_says_what_was_looked_for(files: dict[str, str]) -> None:
    with pytest.raises(NothingToRun) as refused:
        run(files)
    for looked_for in ("iarnet.yaml", "compose", "dockerfile", "procfile", "python"):
        assert looked_for in refused.value.hint


def test_a_declared_folder_that_is_not_there_is_refused() -> None:
    with pytest.raises(InvalidComponent, match="no folder 'wbe'") as refused:
        run({"iarnet.yaml": "components:\n  web: {root: wbe}\n", "web/Dockerfile": "FROM x"})
    assert refused.value.where == "iarnet.yaml:2"
    assert "'web'" in refused.value.hint


def test_a_declared_folder_without_a_program_is_refused() -> None:
    with pytest.raises(InvalidComponent, match="how to build it"):
        run({"iarnet.yaml": "components:\n  web: {root: web}\n", "web/readme.txt": "x"})


def test_too_many_components_are_refused() -> None:
    with pytest.raises(InvalidComponent, match="at most 200"):
        run({f"s{number}/Dockerfile": "FROM x" for number in range(250)})


# ── declared


SHOP = """services:
  web:
    build: web
    ports: ["8080:3000"]
    environment: {API_URL: "http://api:8000"}
    depends_on: [api]
  api:
    build: {context: ., dockerfile: api/Dockerfile}
    depends_on: {db: {condition: service_started}}
  db:
    image: postgres:16
    environment: {POSTGRES_USER: u, POSTGRES_DB: d}
    volumes: ["pg:/var/lib/postgresql/data"]
volumes: {pg: {}}
"""
SHOP_FILES = {
    "compose.yaml": SHOP,
    "web/Dockerfile": "FROM node\nEXPOSE 3000\nCMD node x.js\n",
    "api/Dockerfile": "FROM python\nCOPY api/app.py /\nEXPOSE 8000\nCMD python app.py\n",
    **flask("PGHOST", "PGPASSWORD", root="api"),
}


def test_a_compose_application() -> None:
    analysis = run(SHOP_FILES)
    assert names(analysis) == ["web", "api", "db"]
    web, api, db = analysis.components
    assert web.ports == (Port(port=3000, publish="prefer", host_port=8080),)
    assert web.build == Build(context="web", dockerfile="web/Dockerfile")
    assert (web.kind, web.health) == ("web", HealthCheck(type="http", path="/", port=3000))
    assert (api.kind, api.root, api.language, api.port and api.port.publish) == ("api", "api", "python", "no")
    assert env(api) == {"PGHOST": ("db", None), "PGPASSWORD": ("{secret}", "db/password")}
    assert env(db)["POSTGRES_PASSWORD"] == ("{secret}", "db/password")
    assert db.health is not None
    assert db.health.command == ("pg_isready", "-h", "127.0.0.1", "-U", "u", "-d", "d")
    assert [volume.name for volume in db.volumes] == ["pg"]
    assert edges(analysis) == [("api", "db", "database", "started"), ("web", "api", "http", "started")]
    assert [edge.env for edge in analysis.edges] == ["PGHOST", "API_URL"]


def test_the_short_form_of_depends_on_means_a_healthy_database() -> None:
    text = "services:\n  web: {build: ., depends_on: [db]}\n  db: {image: 'postgres:15'}\n"
    analysis = run({"compose.yaml": text, "Dockerfile": "FROM x\nEXPOSE 80"})
    assert edges(analysis) == [("web", "db", "database", "healthy")]


def test_literal_passwords_stay_values_and_reach_the_client() -> None:
    text = "services:\n  db: {image: mysql:8, environment: {MYSQL_ROOT_PASSWORD: p@ss, MYSQL_DATABASE: shop}}\n"
    analysis = run({"compose.yaml": text, **flask("DATABASE_URL", "MYSQL_PASSWORD", requirements="pymysql")})
    assert env(named(analysis, "api"))["DATABASE_URL"] == ("mysql://root:p%40ss@db:3306/shop", None)
    assert env(named(analysis, "api"))["MYSQL_PASSWORD"] == ("p@ss", None)
    assert "MYSQL_PASSWORD" not in env(named(analysis, "db"))


def test_a_compose_file_with_services_only_leaves_room_for_the_program() -> None:
    analysis = run({"compose.yaml": "services:\n  cache: {image: 'redis:6'}\n", **flask("REDIS_URL")})
    assert names(analysis) == ["cache", "api"]
    assert env(named(analysis, "api"))["REDIS_URL"] == ("redis://cache:6379/0", None)


def test_a_whole_compose_file_is_believed() -> None:
    text = "services:\n  web: {build: .}\n"
    analysis = run({"compose.yaml": text, "Dockerfile": "FROM x", **flask("REDIS_URL", requirements="redis")})
    assert names(analysis) == ["web"]
    assert "service-not-declared" in codes(analysis)


def test_values_that_are_declared_win() -> None:
    text = "components:\n  web: {root: ., env: {DATABASE_URL: 'sqlite:///x.db'}}\n"
    analysis = run({"iarnet.yaml": text, **flask("DATABASE_URL", requirements="psycopg2")})
    assert names(analysis) == ["web"]
    assert env(named(analysis, "web"))["DATABASE_URL"] == ("sqlite:///x.db", None)


def test_iarnet_yaml_is_stronger_than_compose() -> None:
    text = "components:\n  web: {root: ., ports: [9000], publish: 8088}\n  db: {image: 'postgres:15'}\n"
    compose = "services:\n  web: {build: ., ports: ['80:80'], working_dir: /srv}\n  extra: {image: x}\n"
    analysis = run({"iarnet.yaml": text, "compose.yaml": compose, "Dockerfile": "FROM x\nUSER app"})
    web = named(analysis, "web")
    assert names(analysis) == ["web", "db"]
    assert web.ports == (Port(port=9000, publish="exact", host_port=8088),)
    assert (web.working_dir, web.user) == ("/srv", "app")
    assert set(codes(analysis)) == {"contradiction", "left-out"}


def test_a_compose_build_without_its_dockerfile_is_generated() -> None:
    analysis = run({"compose.yaml": "services:\n  web: {build: app}\n", **flask(root="app")})
    build = named(analysis, "web").build
    assert build is not None
    assert build.recipe is not None
    assert build.context == "app"
    assert "no-dockerfile" in codes(analysis)


def test_files_that_compose_mounts_are_baked_into_the_image() -> None:
    text = (
        "services:\n  db:\n    image: postgres:15\n    volumes: ['./init.sql:/docker-entrypoint-initdb.d/init.sql']\n"
    )
    analysis = run({"compose.yaml": text, "init.sql": "select 1", **flask("DATABASE_URL")})
    db = named(analysis, "db")
    assert db.image is None
    assert db.build == Build(recipe='FROM postgres:15\nCOPY ["init.sql", "/docker-entrypoint-initdb.d/init.sql"]\n')
    assert (db.kind, db.port and db.port.port) == ("database", 5432)


def test_a_procfile_application() -> None:
    files = flask("CELERY_BROKER_URL", requirements="celery redis")
    files["Procfile"] = (
        "web: gunicorn app:app --bind 0.0.0.0:$PORT\nworker: celery -A app worker\nrelease: ./migrate\n"
    )
    analysis = run(files)
    assert [(c.name, c.kind) for c in analysis.components] == [
        ("web", "web"),
        ("worker", "worker"),
        ("release", "job"),
        ("redis", "cache"),
    ]
    web = named(analysis, "web")
    assert web.port is not None
    assert env(web)["PORT"] == (str(web.port.port), None)
    assert ("web", "release", "order", "completed") in edges(analysis)
    assert ("worker", "redis", "cache", "healthy") in edges(analysis)
    worker = named(analysis, "worker")
    assert (worker.ports, worker.health) == ((), HealthCheck(type="none"))


def test_a_procfile_beside_a_dockerfile_starts_its_image() -> None:
    analysis = run({"Procfile": "web: run --now\nclock: tick | tee x\n", "Dockerfile": "FROM x\nEXPOSE 80\n"})
    web, clock = analysis.components
    assert web.build == clock.build == Build(dockerfile="Dockerfile")
    assert (web.command, clock.command) == (("run", "--now"), ("/bin/sh", "-c", "tick | tee x"))


# ── found


def test_a_dockerfile_says_how_to_build_and_the_code_what_it_is() -> None:
    files = flask("PORT", root="shop") | {"shop/Dockerfile": "FROM x\nEXPOSE 9000\nCMD flask run"}
    shop = run(files).components[0]
    assert (shop.name, shop.language, shop.framework) == ("shop", "python", "flask")
    assert shop.build == Build(context="shop", dockerfile="shop/Dockerfile")
    assert env(shop)["PORT"] == ("9000", None)


def test_a_port_that_the_code_contradicts_is_told() -> None:
    files = {
        "Dockerfile": "FROM x\nEXPOSE 9000\nCMD python app.py\n",
        "requirements.txt": "flask",
        "app.py": FLASK + "app.run(port=5000)\n",
    }
    analysis = run(files)
    assert [port.port for port in analysis.components[0].ports] == [9000]
    assert "contradiction" in codes(analysis)


def test_folders_are_components_and_examples_are_not() -> None:
    files = flask(root="api") | flask(root="examples/one") | flask(root="tests/app") | flask(root="services/cart")
    assert names(run(files)) == ["api", "cart"]
    assert names(run(flask(root="examples/one"))) == ["one"]


def test_names_that_collide_carry_the_folder_above() -> None:
    assert names(run(flask(root="a/app") | flask(root="b/app"))) == ["app", "b-app"]


def test_below_a_dockerfile_only_another_dockerfile_counts() -> None:
    files = {"Dockerfile": "FROM x\nEXPOSE 80\n", **flask(root="server"), "admin/Dockerfile": "FROM x\n"}
    assert names(run(files)) == ["web", "admin"]


# ── services and settings


def test_a_driver_brings_its_service_with_password_volume_and_check() -> None:
    analysis = run(flask("DATABASE_URL", requirements="psycopg2-binary"))
    postgres = named(analysis, "postgres")
    assert postgres.image == "postgres:15"
    assert env(postgres) == {
        "POSTGRES_DB": ("app", None),
        "POSTGRES_PASSWORD": ("{secret}", "postgres/password"),
        "POSTGRES_USER": ("app", None),
    }
    assert [(volume.name, volume.path) for volume in postgres.volumes] == [("data", "/var/lib/postgresql/data")]
    assert "SETUID" in postgres.capabilities
    assert env(named(analysis, "api"))["DATABASE_URL"] == (
        "postgresql://app:{secret}@postgres:5432/app",
        "postgres/password",
    )
    assert any(e.fact == "postgres" and e.detector == "services" for e in analysis.evidence)


def test_sqlite_needs_no_service() -> None:
    files = flask("DATABASE_URL", requirements="sqlalchemy")
    assert names(run(files)) == ["api"]


@pytest.mark.parametrize(
    ("package", "setting", "service", "value"),
    [
        ("redis", "REDIS_URL", "redis", "redis://redis:6379/0"),
        ("redis", "REDIS_HOST", "redis", "redis"),
        ("redis", "CACHE_REDIS_PORT", "redis", "6379"),
        ("pika", "AMQP_URL", "rabbitmq", "amqp://app:{secret}@rabbitmq:5672"),
        ("pika", "RABBITMQ_PASSWORD", "rabbitmq", "{secret}"),
        ("pymongo", "MONGODB_URI", "mongo", "mongodb://app:{secret}@mongo:27017/app?authSource=admin"),
        ("pymysql", "DB_HOST", "mysql", "mysql"),
        ("pymysql", "DB_NAME", "mysql", "app"),
        ("pymysql", "DATABASE_URL", "mysql", "mysql://app:{secret}@mysql:3306/app"),
        ("asyncpg", "POSTGRES_DSN", "postgres", "postgresql://app:{secret}@postgres:5432/app"),
        ("psycopg2", "ORDERS_DATABASE_URL", "postgres", "postgresql://app:{secret}@postgres:5432/app"),
        ("nats-py", "NATS_URL", "nats", "nats://nats:4222"),
        ("pymemcache", "MEMCACHE_SERVERS", "memcached", "memcached:11211"),
        ("celery", "CELERY_BROKER_URL", "rabbitmq", "amqp://app:{secret}@rabbitmq:5672"),
    ],
)
def test_the_names_that_the_code_reads_are_given(package: str, setting: str, service: str, value: str) -> None:
    analysis = run(flask(setting, requirements=package))
    api = named(analysis, "api")
    assert service in names(analysis)
    secret = f"{service}/password" if "{secret}" in value else None
    assert env(api)[setting] == (value, secret)
    assert [edge.env for edge in analysis.edges] == [
        setting if not setting.endswith(("PORT", "PASSWORD", "NAME")) else None
    ]


@pytest.mark.parametrize(
    ("package", "expected"),
    [("psycopg2", ["DATABASE_URL"]), ("redis", ["REDIS_URL"]), ("pika", ["AMQP_URL", "RABBITMQ_URL"])],
)
def test_unknown_names_are_the_conventional_ones(package: str, expected: list[str]) -> None:
    api = named(run(flask(requirements=package)), "api")
    assert [name for name in env(api) if name != "PORT"] == expected


def test_the_code_decides_the_scheme() -> None:
    files = flask("DATABASE_URL", requirements="psycopg2 asyncpg")
    files["db.py"] = "DEFAULT = 'postgresql+asyncpg://localhost/x'\n"
    assert (env(named(run(files), "api"))["DATABASE_URL"][0] or "").startswith("postgresql+asyncpg://")
    files["db.py"] = "url = url.replace('postgres://', 'postgresql://')\n"
    assert (env(named(run(files), "api"))["DATABASE_URL"][0] or "").startswith("postgresql://")
    files["db.py"] = "DEFAULT = 'postgres://localhost/x'\n"
    assert (env(named(run(files), "api"))["DATABASE_URL"][0] or "").startswith("postgres://")


def test_several_programs_share_one_service() -> None:
    files = flask("DATABASE_URL", requirements="psycopg2", root="a") | flask("PGHOST", root="b")
    analysis = run(files)
    assert names(analysis) == ["a", "b", "postgres"]
    assert edges(analysis) == [("a", "postgres", "database", "healthy"), ("b", "postgres", "database", "healthy")]


# ── edges among components


def test_names_of_settings_make_edges() -> None:
    files = (
        flask("API_URL", "CATALOG_SERVICE_HOST", root="web") | flask("WEB_URL", root="api") | flask(root="catalog")
    )
    analysis = run(files | {"web/templates/x.html": "<html>"})
    found = {(e.from_, e.to, e.env) for e in analysis.edges}
    assert found == {("web", "api", "API_URL"), ("web", "catalog", "CATALOG_SERVICE_HOST")}
    port = named(analysis, "api").port
    assert port is not None
    assert env(named(analysis, "web"))["API_URL"] == (f"http://api:{port.port}", None)
    assert env(named(analysis, "web"))["CATALOG_SERVICE_HOST"] == ("catalog", None)


def test_two_that_refer_to_each_other_do_not_wait_in_a_circle() -> None:
    analysis = run(flask("B_URL", root="a") | flask("A_URL", root="b"))
    assert [(e.from_, e.to) for e in analysis.edges] == [("a", "b")]
    assert env(named(analysis, "b"))["A_URL"][0] is not None
    assert "circle-avoided" in codes(analysis)


def test_a_need_without_a_known_name_gets_the_conventional_one() -> None:
    text = "components:\n  web: {root: web, needs: [order-api]}\n  order-api: {root: api, ports: [8001]}\n"
    analysis = run({"iarnet.yaml": text, **flask(root="web"), **flask(root="api")})
    assert env(named(analysis, "web"))["ORDER_API_URL"] == ("http://order-api:8001", None)


@pytest.mark.parametrize(
    ("name", "value", "host"),
    [
        ("DATABASE_URL", "postgresql://app:1a@db:5432/web", "db"),
        ("DB", "jdbc:postgresql://db/web?x=web", "db"),
        ("SEEDS", "one:27017,db:27017", "db"),
        ("DSN", "web:web@tcp(db:3306)/web", "db"),
        ("DSN", "host=db user=web dbname=app", "db"),
        ("DB_HOST", "db", "db"),
        ("MODE", "web", None),
        ("PATH_TO", "/app/web", None),
        ("IMAGE", "web/app", None),
        ("TIME", "app 12:30", None),
    ],
)
def test_the_host_in_a_value(name: str, value: str, host: str | None) -> None:
    assert [candidate for candidate in ("db", "web", "app") if points(name, value, candidate)] == (
        [host] if host else []
    )


def test_a_proxy_configuration_makes_an_edge() -> None:
    files = {
        "web/Dockerfile": "FROM nginx\nEXPOSE 80\nCOPY nginx.conf /etc/nginx/nginx.conf\n",
        "web/nginx.conf": "location /api/ {\n  proxy_pass http://api:5000;\n}\n",
        **flask(root="api"),
    }
    analysis = run(files)
    assert ("web", "api") in [(e.from_, e.to) for e in analysis.edges]
    assert any(e.detector == "proxy" and (e.file, e.line) == ("web/nginx.conf", 2) for e in analysis.evidence)


# ── the way in, and the document


def test_the_component_that_nobody_needs_is_published() -> None:
    files = flask("API_URL", root="web") | flask(root="api") | {"web/templates/x.html": "<html>"}
    analysis = run(files)
    published = {c.name: c.port.publish for c in analysis.components if c.port}
    assert published == {"web": "auto", "api": "no"}


def test_a_port_that_is_not_to_be_published_is_not() -> None:
    text = "components:\n  web: {root: ., publish: false}\n"
    web = run({"iarnet.yaml": text, **flask()}).components[0]
    assert web.port is not None
    assert web.port.publish == "no"


def test_what_a_browser_calls_is_published_too() -> None:
    manifest = '{"scripts": {"build": "vite build"}, "devDependencies": {"vite": "5"}}'
    files = {
        "web/package.json": manifest,
        "web/index.html": "<html>",
        "web/main.js": "fetch(import.meta.env.VITE_API_URL)",
    }
    analysis = analyze(MemoryTree(files | flask(root="api")))
    assert {c.name: c.port.publish for c in analysis.components if c.port} == {"web": "auto", "api": "auto"}
    assert env(named(analysis, "web"))["VITE_API_URL"] == (None, None)
    assert "browser-setting" in codes(analysis)


def test_the_root_of_a_workspace_only_starts_its_members() -> None:
    start = '{"scripts": {"start": "node index.js"}}'
    files = {"package.json": '{"workspaces": ["apps/*"], "scripts": {"start": "node all.js"}}', "all.js": ""}
    files |= {
        f"apps/{name}/{file}": text
        for name in ("a", "b")
        for file, text in (("package.json", start), ("index.js", ""))
    }
    assert names(analyze(MemoryTree(files))) == ["a", "b"]


def test_what_others_wait_for_to_complete_is_a_job_without_port_or_check() -> None:
    text = (
        "services:\n  web:\n    build: .\n    depends_on: {migrate: {condition: service_completed_successfully}}\n"
        "  migrate: {build: ., command: ./migrate}\n"
    )
    dockerfile = "FROM x\nEXPOSE 80\nHEALTHCHECK CMD curl localhost\nCMD serve\n"
    analysis = run({"compose.yaml": text, "Dockerfile": dockerfile})
    migrate = named(analysis, "migrate")
    assert (migrate.kind, migrate.ports, migrate.health) == ("job", (), HealthCheck(type="none"))
    assert migrate.command == ("./migrate",)
    assert edges(analysis) == [("web", "migrate", "order", "completed")]


def test_the_document_has_the_documented_shape() -> None:
    found = json.loads(json.dumps(document(run(SHOP_FILES))))
    web = found["components"][0]
    assert (web["id"], web["name"], web["type"]) == ("web", "Web", "web")
    assert web["requirements"] == {"cpu": 0.25, "memory": 256, "gpu": 0, "storage": 0}
    assert web["ports"] == [{"port": 3000, "protocol": "http", "publish": "prefer", "host_port": 8080}]
    assert web["start_command"] == "node x.js"
    assert found["dag"]["edges"][1] == {
        "from": "web",
        "to": "api",
        "type": "http",
        "condition": "started",
        "env": "API_URL",
    }
    assert {"fact": "web.ports", "value": "8080:3000", "file": "compose.yaml", "line": 4}.items() <= next(
        e for e in found["evidence"] if e["fact"] == "web.ports"
    ).items()


def test_the_same_tree_gives_the_same_analysis() -> None:
    assert run(SHOP_FILES) == run(dict(reversed(SHOP_FILES.items())))
    assert run(SHOP_FILES).components[2].resources.memory_bytes == 256 * MIB


def test_a_required_setting_that_nobody_gives_is_kept() -> None:
    api = run(flask("STRIPE_KEY")).components[0]
    assert EnvVar(name="STRIPE_KEY", required=True) in api.env


def test_a_repository_can_not_grant_itself_what_leads_out_of_a_container() -> None:
    compose = "services:\n  web:\n    image: a\n    cap_add: [cap_sys_admin, chown, ALL]\n"
    analysis = run({"compose.yaml": compose})
    assert set(named(analysis, "web").capabilities) == HARMLESS_CAPABILITIES
    [warning] = [w for w in analysis.warnings if w.code == "capability-withheld"]
    assert "SYS_ADMIN, ALL" in warning.message
    assert '--set web.capabilities="SYS_ADMIN CHOWN ALL DAC_OVERRIDE' in warning.message


def test_what_a_database_asks_for_comes_on_top_of_what_its_image_needs() -> None:
    compose = "services:\n  db:\n    image: mysql:8\n    cap_add: [SYS_NICE]\n"
    assert {"CHOWN", "SETUID", "SETGID"} <= set(named(run({"compose.yaml": compose}), "db").capabilities)

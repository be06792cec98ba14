import pytest

from iarnet.analysis.base import Structure
from iarnet.analysis.files import TreeFiles
from iarnet.analysis.memory import MemoryTree
from iarnet.analysis.structures.compose import Compose
from iarnet.errors import InvalidComponent
from iarnet.models.component import Build, EnvVar, HealthCheck, Port, Volume
from iarnet.models.resources import MIB, Resources


def read(text: str, **files: str) -> Structure:
    tree = MemoryTree({"compose.yaml": text} | {name.replace("__", "/"): content for name, content in files.items()})
    structure = Compose().read(TreeFiles(tree))
    assert structure is not None
    return structure


def service(fields: str, tree: dict[str, str] | None = None) -> tuple[dict[str, object], Structure]:
    body = "\n".join(f"    {line}" for line in fields.splitlines())
    text = f"services:\n  web:\n{body}\n"
    structure = Compose().read(TreeFiles(MemoryTree({"compose.yaml": text, **(tree or {})})))
    assert structure is not None
    return structure.components[0].facts, structure


def env(facts: dict[str, object]) -> dict[str, str | None]:
    found = facts["env"]
    assert isinstance(found, tuple)
    return {variable.name: variable.value for variable in found}


@pytest.mark.parametrize(
    ("text", "message", "where"),
    [
        ("services:\n  web: {}\n", "neither image nor build", "compose.yaml:2"),
        ("services:\n  web:\n    image: x\n    ports: [http]\n", "is not a port", "compose.yaml:4"),
        ("services:\n  web:\n    image: x\n    ports: ['99999']\n", "1 to 65535", "compose.yaml:4"),
        ("services:\n  web:\n    image: x\n    depends_on: [db]\n", "no service", "compose.yaml:4"),
        ("services:\n  web:\n    build: ../up\n", "outside the repository", "compose.yaml:3"),
        ("services:\n  web:\n    build: {dockerfile: /etc/passwd}\n", "outside the repository", "compose.yaml:3"),
        ("services:\n  web:\n    image: x\n    healthcheck: {test: [curl]}\n", "must begin with", "compose.yaml:4"),
        ("services:\n  web:\n    image: x\n    mem_limit: lots\n", "amount of memory", "compose.yaml:4"),
        ('services:\n  web:\n    image: x\n    command: "a \'b"\n', "unclosed quote", "compose.yaml:4"),
        ("services: [a]\n", "must be a mapping", "compose.yaml:1"),
        ("services:\n  a: {extends: b}\n  b: {extends: a}\n", "extends itself", "compose.yaml:3"),
        ("services:\n  a: {extends: x, image: b}\n", "to extend", "compose.yaml:2"),
    ],
)
def test_what_contradicts_the_format_is_refused_with_its_line(text: str, message: str, where: str) -> None:
    with pytest.raises(InvalidComponent, match=message) as refused:
        read(text)
    assert refused.value.where == where


def test_a_binary_file_is_refused() -> None:
    tree = MemoryTree({"docker-compose.yml": b"\x00\x01"})
    with pytest.raises(InvalidComponent, match="can't be read as text"):
        Compose().read(TreeFiles(tree))


def test_no_compose_file_is_no_structure() -> None:
    assert Compose().read(TreeFiles(MemoryTree({"a.txt": ""}))) is None


def test_ports_in_all_their_forms() -> None:
    facts, _ = service(
        'image: x\nports: ["8080:80", "3000", "127.0.0.1:9000:90", "53:53/udp", {target: 70, published: "7000"}]\n'
        'expose: ["5555", "80"]'
    )
    assert facts["ports"] == (
        Port(port=80, publish="prefer", host_port=8080),
        Port(port=3000, publish="auto"),
        Port(port=90, publish="prefer", host_port=9000),
        Port(port=53, protocol="udp", publish="prefer", host_port=53),
        Port(port=70, publish="prefer", host_port=7000),
        Port(port=5555),
    )


def test_a_range_of_ports_is_expanded() -> None:
    facts, _ = service('image: x\nports: ["8000-8001:80-81"]')
    assert facts["ports"] == (
        Port(port=80, publish="prefer", host_port=8000),
        Port(port=81, publish="prefer", host_port=8001),
    )


def test_build_with_dockerfile_target_and_arguments() -> None:
    facts, _ = service("build: {context: ./app, dockerfile: d/Dockerfile, target: run, args: {A: 1, B: x}}\nimage: n")
    assert facts["build"] == Build(
        context="app", dockerfile="app/d/Dockerfile", target="run", args={"A": "1", "B": "x"}
    )
    assert "image" not in facts


def test_variables_take_values_from_the_env_file() -> None:
    facts, structure = service(
        'image: "x:${TAG:-3}"\nenvironment:\n  A: "${A}"\n  B: "${NONE}"\n  C: "$$HOME"\n  D: "${X:-${A}}y"\n'
        '  E: "${NONE:?give it}"\n  F: pre${A:+set}\n  G:',
        {".env": "A=one\nG=seven\n"},
    )
    assert facts["image"] == "x:3"
    assert env(facts) == {"A": "one", "B": None, "C": "$HOME", "D": "oney", "E": None, "F": "preset", "G": "seven"}
    assert [w.code for w in structure.warnings] == ["unset-variable"]
    variables = facts["env"]
    assert isinstance(variables, tuple)
    assert [v.name for v in variables if v.required] == ["E"]


def test_environment_wins_over_env_files_and_a_missing_one_is_told() -> None:
    facts, structure = service(
        "image: x\nenv_file: [a.env, gone.env]\nenvironment: [A=2, EMPTY=, FROM_SHELL]", {"a.env": "A=1\nB=1\n"}
    )
    assert env(facts) == {"A": "2", "B": "1", "EMPTY": "", "FROM_SHELL": None}
    assert [(w.code, w.line) for w in structure.warnings] == [("env-file-missing", 4)]


def test_numbers_keep_their_text() -> None:
    facts, _ = service("image: x\nenvironment: {VERSION: 1.10, FLAG: true, MODE: 0755}")
    assert env(facts) == {"VERSION": "1.10", "FLAG": "true", "MODE": "0755"}


def test_health_checks() -> None:
    facts, _ = service(
        'image: x\nhealthcheck: {test: ["CMD", "curl", "-f", "x"], interval: 1m30s, timeout: 500ms, retries: 5}'
    )
    assert facts["health"] == HealthCheck(
        type="command", command=("curl", "-f", "x"), interval_s=90, timeout_s=0.5, retries=5
    )
    shell, _ = service("image: x\nhealthcheck: {test: curl -f x || exit 1}")
    assert shell["health"] == HealthCheck(type="command", command=("/bin/sh", "-c", "curl -f x || exit 1"))
    off, _ = service("image: x\nhealthcheck: {disable: true}")
    assert off["health"] == HealthCheck(type="none")


def test_room_replicas_and_rights() -> None:
    facts, _ = service(
        'image: x\ndeploy: {replicas: 3, resources: {limits: {cpus: "0.5", memory: 64M}}}\n'
        'user: "1000:1000"\nworking_dir: /srv\ncap_add: [NET_ADMIN]\ncommand: run "two words"\nentrypoint: [/e]'
    )
    assert facts["resources"] == Resources(cpu_millis=500, memory_bytes=64 * MIB)
    assert (facts["replicas"], facts["user"], facts["working_dir"]) == (3, "1000:1000", "/srv")
    assert (facts["capabilities"], facts["command"], facts["entrypoint"]) == (
        ("NET_ADMIN",),
        ("run", "two words"),
        ("/e",),
    )


def test_older_names_for_room() -> None:
    facts, _ = service("image: x\nmem_limit: 128m\ncpus: 0.25\nscale: 2")
    assert facts["resources"] == Resources(cpu_millis=250, memory_bytes=128 * MIB)
    assert facts["replicas"] == 2


def test_volumes_are_kept_and_mounts_explained() -> None:
    facts, structure = service(
        "image: x\nvolumes:\n  - data:/data\n  - /anon\n  - ./conf:/etc/conf:ro\n  - /var/run/docker.sock:/s\n"
        "  - {type: volume, source: more, target: /more, read_only: true}",
        {"conf/a.conf": "a"},
    )
    assert facts["volumes"] == (
        Volume(name="data", path="/data"),
        Volume(name="anon", path="/anon"),
        Volume(name="more", path="/more", read_only=True),
    )
    assert facts["baked"] == (("conf", "/etc/conf"),)
    assert [w.code for w in structure.warnings] == ["baked", "withheld"]


def test_dependencies_and_their_conditions() -> None:
    structure = read(
        "services:\n  a: {image: x, depends_on: [b], links: ['c:cc']}\n"
        "  b: {image: x, depends_on: {c: {condition: service_completed_successfully}}}\n"
        "  c: {image: x, depends_on: {d: {condition: service_healthy}}}\n  d: {image: x}\n"
    )
    assert [(e.from_, e.to, e.condition) for e in structure.edges] == [
        ("a", "b", "started"),
        ("a", "c", "started"),
        ("b", "c", "completed"),
        ("c", "d", "healthy"),
    ]


def test_names_become_host_names_also_in_values() -> None:
    structure = read(
        "services:\n  Web_App:\n    image: x\n    environment: {DB: 'postgres://my_db:5432/my_db_x', C: shop-cache}\n"
        "  my_db: {image: postgres}\n  cache: {image: redis, container_name: shop-cache}\n"
    )
    assert [c.name for c in structure.components] == ["web-app", "my-db", "cache"]
    assert structure.components[0].facts["env"] == (
        EnvVar(name="DB", value="postgres://my-db:5432/my_db_x"),
        EnvVar(name="C", value="cache"),
    )


def test_extends_anchors_and_profiles() -> None:
    structure = read(
        "x-common: &common {restart: always, environment: {A: 1}}\n"
        "services:\n  base: {<<: *common, image: x}\n"
        "  web: {extends: {service: base}, environment: {B: 2}}\n  debug: {image: y, profiles: [debug]}\n"
    )
    assert [c.name for c in structure.components] == ["base", "web"]
    assert structure.components[1].facts["image"] == "x"
    assert env(structure.components[1].facts) == {"A": "1", "B": "2"}
    assert [w.code for w in structure.warnings] == ["profile-skipped"]


def test_what_has_no_effect_is_told() -> None:
    _, structure = service("image: x\nprivileged: true\nx-note: fine")
    assert [(w.code, w.line) for w in structure.warnings] == [("withheld", 4)]


def test_files_that_are_put_together() -> None:
    files = {
        "compose.yaml": "include: [infra/compose.yaml]\nservices:\n  web:\n    build: .\n    depends_on: [db]\n"
        "  api:\n    extends: {file: base/common.yml, service: app}\n    environment: {B: '2'}\n",
        "infra/compose.yaml": "services:\n  db:\n    image: postgres:16\n"
        "    volumes: ['./init:/docker-entrypoint-initdb.d']\n",
        "infra/init/a.sql": "select 1",
        "base/common.yml": "services:\n  app:\n    build: ../api\n    environment: {A: '1', B: '1'}\n",
        "api/Dockerfile": "FROM scratch\n",
        "Dockerfile": "FROM scratch\n",
        "compose.override.yaml": "services:\n  web:\n    environment: {C: '3'}\n  extra:\n    image: redis:7\n",
    }
    structure = Compose().read(TreeFiles(MemoryTree(files)))
    assert structure
    by_name = {component.name: component for component in structure.components}
    assert sorted(by_name) == ["api", "db", "extra", "web"]
    assert by_name["api"].root == "api"
    assert {v.name: v.value for v in by_name["api"].facts["env"]} == {"A": "1", "B": "2"}
    assert by_name["db"].facts["baked"] == (("infra/init", "/docker-entrypoint-initdb.d"),)
    assert [v.value for v in by_name["web"].facts["env"]] == ["3"]
    assert [(edge.from_, edge.to) for edge in structure.edges] == [("web", "db")]
    assert next(clue for clue in by_name["db"].clues if clue.field == "image").file == "infra/compose.yaml"


def test_an_override_without_a_context_keeps_the_one_below() -> None:
    files = {
        "deploy/compose.yaml": "services:\n  web:\n    build: ../web\n",
        "deploy/compose.override.yaml": "services:\n  web:\n    build: {args: {A: '1'}}\n",
        "web/Dockerfile": "FROM scratch\n",
    }
    structure = Compose().read(TreeFiles(MemoryTree(files)))
    assert structure
    assert structure.components[0].facts["build"] == Build(
        context="web", dockerfile="web/Dockerfile", args={"A": "1"}
    )


def test_what_may_be_missing_and_where_any_port_will_do() -> None:
    facts, structure = service(
        'image: x\ndepends_on: {none: {condition: service_started, required: false}}\nports: ["6005-6015:80"]'
    )
    assert structure.edges == []
    assert facts["ports"] == (Port(port=80, publish="prefer", host_port=6005),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("include: [other.yaml]\n", "no compose file"),
        ("include: [../x.yaml]\n", "no compose file"),
        ("include: [compose.yaml]\n", "includes itself"),
        ("services:\n  a: {extends: {file: none.yml, service: b}}\n", "no compose file"),
    ],
)
def test_a_file_that_is_not_there_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidComponent, match=message):
        read(text)

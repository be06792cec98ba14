"""What a compose service asks of its container, and where its files and volumes come from."""

import pytest

from iarnet.analysis.base import Structure
from iarnet.analysis.files import TreeFiles
from iarnet.analysis.memory import MemoryTree
from iarnet.analysis.structures.compose import Compose
from iarnet.errors import InvalidComponent
from iarnet.models.component import Build, Volume
from iarnet.models.container import MAX_FILE_BYTES, Container, File, Ulimit


def read(text: str, files: dict[str, str] | None = None) -> Structure:
    structure = Compose().read(TreeFiles(MemoryTree({"compose.yaml": text, **(files or {})})))
    assert structure is not None
    return structure


def facts(fields: str, more: str = "", files: dict[str, str] | None = None) -> dict[str, object]:
    body = "".join(f"    {line}\n" for line in fields.splitlines())
    return read(f"services:\n  web:\n    image: x\n{body}{more}", files).components[0].facts


def codes(structure: Structure) -> list[tuple[str, int | None]]:
    return [(warning.code, warning.line) for warning in structure.warnings]


def test_every_option() -> None:
    asked = (
        "network_mode: none\nhostname: front\ndomainname: shop.example\nextra_hosts: ['a:192.0.2.1', b=host-gateway]"
        "\ndns: 192.0.2.2\ndns_search: [corp.example]\ndns_opt: ['ndots:3']\ninit: false\ntty: true\n"
        "stdin_open: true\nstop_signal: sigint\nstop_grace_period: 1m5s\nread_only: true\n"
        "tmpfs: ['/run:size=1m,dev,bind', /tmp]\nshm_size: 2m\npids_limit: 77\n"
        "ulimits: {nproc: 5, nofile: {soft: 1, hard: 2}}\ngroup_add: [4321]\n"
        "sysctls: [net.core.somaxconn=99]\ncap_drop: [CAP_CHOWN]\noom_score_adj: 300\n"
        "runtime: io.containerd.wasmedge.v1\nlabels: {team: shop, iarnet.app: other}\nlabel_file: more.label"
    )
    assert facts(asked, files={"more.label": "team=none\nfloor=3\n"})["container"] == Container(
        network="none",
        hostname="front",
        domain="shop.example",
        hosts={"a": "192.0.2.1", "b": "host-gateway"},
        dns=("192.0.2.2",),
        dns_search=("corp.example",),
        dns_options=("ndots:3",),
        init=False,
        terminal=True,
        stdin=True,
        stop_signal="SIGINT",
        stop_s=65,
        read_only=True,
        tmpfs={"/run": "size=1m,dev", "/tmp": ""},
        shm_bytes=2 << 20,
        pids=77,
        ulimits={"nproc": Ulimit(soft=5, hard=5), "nofile": Ulimit(soft=1, hard=2)},
        groups=("4321",),
        sysctls={"net.core.somaxconn": "99"},
        dropped=("CHOWN",),
        oom_score=300,
        runtime="io.containerd.wasmedge.v1",
        labels={"team": "shop", "floor": "3"},
    )


def test_what_is_asked_for_without_end_has_one() -> None:
    container = facts("pids_limit: -1\nstop_grace_period: 1h\noom_score_adj: -900")["container"]
    assert container == Container(pids=4096, stop_s=90)
    assert facts("deploy: {resources: {limits: {pids: 9}}}")["container"] == Container(pids=9)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("extra_hosts: [a]", "is no address"),
        ("dns: [not-an-address]", "dns"),
        ("hostname: 'a b'", "hostname"),
        ("ulimits: {nofile: {}}", "soft and hard"),
        ("shm_size: much", "amount of memory"),
        ("secrets: [none]", "among the secrets"),
        ("volumes_from: [db]", "no service"),
    ],
)
def test_what_can_not_be(fields: str, message: str) -> None:
    with pytest.raises(InvalidComponent, match=message) as refused:
        facts(fields)
    assert refused.value.where == "compose.yaml:4"


def test_settings_of_the_host_are_withheld() -> None:
    structure = read("services:\n  web:\n    image: x\n    sysctls: {vm.max_map_count: 1, net.core.somaxconn: 2}\n")
    assert codes(structure) == [("withheld", 4)]
    assert structure.components[0].facts["container"] == Container(sysctls={"net.core.somaxconn": "2"})


def test_gpus_and_jobs() -> None:
    devices = (
        "deploy: {mode: replicated-job, resources: {reservations: {devices: [{capabilities: [gpu], count: 2}]}}}"
    )
    found = facts(devices)
    assert (found["kind"], found["resources"].gpu_millis) == ("job", 2000)  # type: ignore[attr-defined]
    assert facts("gpus: all")["resources"].gpu_millis == 1000  # type: ignore[attr-defined]
    assert facts("cpu_quota: 50000\nmem_reservation: 1m")["resources"].cpu_millis == 500  # type: ignore[attr-defined]


def test_configs_and_secrets_are_files() -> None:
    more = (
        "secrets:\n  key: {file: ./key.txt}\n  token: {environment: TOKEN}\n  outside: {external: true}\n"
        "configs:\n  app: {content: 'a = ${WHAT}'}\n"
    )
    asked = (
        "secrets: [key, {source: token, target: api/token, mode: 0440, uid: '7', gid: 8},"
        " {source: outside, target: /o}]\nconfigs: [app]"
    )
    files = {"key.txt": "k\n", ".env": "TOKEN=t\nWHAT=b\n"}
    assert facts(asked, more, files)["files"] == (
        File(name="app", path="/app", value="a = b"),
        File(name="key", path="/run/secrets/key", value="k\n"),
        File(name="token", path="/run/secrets/api/token", value="t", mode=0o440, uid=7, gid=8),
        File(name="outside", path="/o"),
    )
    with pytest.raises(InvalidComponent, match="larger than"):
        facts("secrets: [key]", "secrets:\n  key: {file: key}\n", {"key": "x" * (MAX_FILE_BYTES + 1)})


def test_a_file_that_nobody_has_is_asked_for() -> None:
    text = "services:\n  web:\n    image: x\n    secrets: [key]\nsecrets:\n  key: {file: key.txt}\n"
    [warning] = read(text).warnings
    assert (warning.code, warning.line) == ("file-missing", 4)
    assert "--secret web.file.key=NAME" in warning.message


def test_folders_that_are_not_in_the_repository_are_volumes() -> None:
    text = (
        "services:\n  db:\n    image: x\n    volumes:\n      - ./data:/var/lib/data\n      - ~/more:/more/\n"
        "      - /etc/localtime:/etc/localtime:ro\n      - /var/run/docker.sock:/s\n      - ./gone.conf:/g.conf\n"
        "      - {type: tmpfs, target: /t, tmpfs: {size: 1m, mode: 0700}}\n"
    )
    structure = read(text, {"data/.gitkeep": ""})
    assert structure.components[0].facts["volumes"] == (
        Volume(name="folder-data", path="/var/lib/data"),
        Volume(name="folder-more", path="/more"),
    )
    assert structure.components[0].facts["container"] == Container(tmpfs={"/t": "size=1048576,mode=700"})
    assert [(w.code, w.line) for w in structure.warnings] == [
        ("kept", 5),
        ("host-folder", 6),
        ("withheld", 7),
        ("withheld", 8),
        ("not-in-repository", 9),
    ]


def test_what_the_build_puts_there_is_not_added() -> None:
    dockerfile = (
        "FROM a AS base\nWORKDIR /srv\nCOPY package*.json ./\nCOPY src ./src\nFROM base\nCOPY conf/* /etc/app/\n"
    )
    files = {
        "app/Dockerfile": dockerfile,
        "app/src/a.js": "",
        "app/package.json": "{}",
        "app/conf/c": "",
        "nginx.conf": "",
    }
    mounts = (
        "['./app/src:/srv/src', './app/package.json:/srv/package.json', './app/conf/c:/etc/app/c', './app:/dev/app',"
    )
    text = f"services:\n  web:\n    build: app\n    volumes: {mounts} './nginx.conf:/n.conf']\n"
    found = read(text, files).components[0].facts
    assert found["build"] == Build(context="app", dockerfile="app/Dockerfile")
    assert found["baked"] == (("app", "/dev/app"), ("nginx.conf", "/n.conf"))


def test_a_volume_of_several() -> None:
    text = (
        "services:\n  web: {image: x, volumes: ['code:/srv', '/own'], depends_on: [db]}\n"
        "  cron: {image: x, volumes: ['code:/code:ro']}\n  db: {image: y, volumes_from: ['web:ro']}\n"
        "volumes: {code: {}}\n"
    )
    structure = read(text)
    by_name = {component.name: component.facts.get("volumes") for component in structure.components}
    assert by_name["web"] == (Volume(name="code", path="/srv"), Volume(name="own", path="/own"))
    assert by_name["cron"] == (Volume(name="code", path="/code", read_only=True, of="web"),)
    assert by_name["db"] == (
        Volume(name="code", path="/srv", read_only=True, of="web"),
        Volume(name="own", path="/own", read_only=True, of="web"),
    )
    assert [(e.from_, e.to, e.type) for e in structure.edges] == [("web", "db", "order"), ("cron", "web", "volume")]


def test_names_under_which_a_service_is_found() -> None:
    text = (
        "services:\n  my_db:\n    image: x\n    container_name: shop.db\n    hostname: localhost\n    networks:\n"
        "      back: {aliases: [store], ipv4_address: 172.20.0.2}\n  web: {image: y, links: ['my_db:database']}\n"
        "networks: {back: {}}\n"
    )
    db, web = read(text).components
    assert db.facts["aliases"] == ("my_db", "shop.db", "store", "172.20.0.2", "database")
    assert web.facts["aliases"] == ()


def test_capabilities_come_on_top_of_the_usual_ones() -> None:
    assert "CHOWN" in facts("cap_add: [KILL]")["capabilities"]  # type: ignore[operator]
    strict = facts("cap_add: [NET_BIND_SERVICE]\ncap_drop: [ALL]")
    assert (strict["capabilities"], strict["container"]) == (("NET_BIND_SERVICE",), Container(dropped=("ALL",)))


def test_a_port_for_one_address_is_told() -> None:
    structure = read("services:\n  web:\n    image: x\n    ports: ['127.0.0.1:1:1', '0.0.0.0:2:2', '3:3', '4']\n")
    assert codes(structure) == [("published-wider", 4)]


def test_files_over_each_other() -> None:
    files = {
        "compose.override.yaml": "services:\n  web:\n    command: !reset null\n    ports: !override ['2:2']\n"
        "    environment: {B: 3}\n    volumes: ['more:/data', '/x']\n"
        "    deploy: {resources: {limits: {memory: 1m}}}\n",
    }
    text = (
        "services:\n  web:\n    image: x\n    command: run\n    ports: ['1:1']\n    environment: ['A=1', 'B=2']\n"
        "    volumes: ['data:/data']\n    deploy: {resources: {limits: {cpus: 1}}}\n"
    )
    found = read(text, files).components[0].facts
    assert "command" not in found
    assert [port.port for port in found["ports"]] == [2]
    assert {v.name: v.value for v in found["env"]} == {"A": "1", "B": "3"}
    assert [(v.name, v.path) for v in found["volumes"]] == [("more", "/data"), ("x", "/x")]
    assert (found["resources"].cpu_millis, found["resources"].memory_bytes) == (1000, 1 << 20)


def test_what_is_included_has_an_environment_of_its_own() -> None:
    files = {
        ".env": "COMPOSE_PROFILES=debug\nOUTER=o\n",
        "db/compose.yaml": "services:\n  db: {image: 'x:${TAG}-${OUTER}', secrets: [key]}\n"
        "secrets: {key: {file: ./key}}\n",
        "db/over.yaml": "services:\n  db: {user: me}\n",
        "db/.env": "TAG=3\nOUTER=inner\n",
        "db/key": "k",
    }
    text = "include: [{path: [db/compose.yaml, db/over.yaml]}]\nservices:\n  tool: {image: y, profiles: [debug]}\n"
    db, tool = read(text, files).components
    assert (db.facts["image"], db.facts["user"], tool.name) == ("x:3-o", "me", "tool")
    assert db.facts["files"] == (File(name="key", path="/run/secrets/key", value="k"),)


def test_env_files_are_filled_in_unless_they_are_raw() -> None:
    files = {".env": "WHO=you\n", "a.env": "A=$WHO\nB=${A}!\nC='$WHO'\n", "raw.env": "D=$WHO\n"}
    found = facts("env_file: [a.env, {path: raw.env, format: raw}]", files=files)
    assert {v.name: v.value for v in found["env"]} == {"A": "you", "B": "you!", "C": "$WHO", "D": "$WHO"}  # type: ignore[attr-defined]

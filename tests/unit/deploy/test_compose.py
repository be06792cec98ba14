"""`docker-compose.temporal.yml` and `deploy/`: valid, and the same versions and settings as everything else has."""

import json
import re
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

from iarnet.config import load_settings
from tests.contract import postgres
from tests.e2e.topology import FILE, ROOT, composed
from workers import roles, temporal_server

SERVICES = composed()["services"]


def tag(service: str) -> str:
    return str(SERVICES[service]["image"]).rpartition(":")[2]


def test_it_is_a_compose_file() -> None:
    parsed = PyCompose.from_json(json.dumps(composed()))
    assert set(SERVICES) == {"postgresql", "temporal-schema", "temporal", "temporal-ui", "api", "worker", "runner"}
    assert len(parsed) == len(SERVICES)


def test_what_is_none_is_told() -> None:
    wrong = composed()
    wrong["services"]["api"]["ports"] = {"8083": 8083}
    with pytest.raises(ValueError, match="expected a set"):
        PyCompose.from_json(json.dumps(wrong))


def test_every_variable_has_a_default() -> None:
    text = re.sub(r"^\s*#.*$", "", FILE.read_text(), flags=re.MULTILINE)
    assert re.findall(r"(?<!\$)\$(?!\{\w+:-|\$)", text) == []


def test_temporal_is_the_version_that_is_built_for_the_tests() -> None:
    built = re.search(r"go\.temporal\.io/server v(\S+)", (ROOT / "setup" / "temporal" / "go.mod").read_text())
    assert built
    assert tag("temporal") == tag("temporal-schema") == built[1]


def test_temporal_and_its_ui_are_those_that_a_node_starts_itself() -> None:
    command = [temporal_server.find(""), "--version"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    found = re.search(r"Server ([\d.]+), UI ([\d.]+)", said)
    assert found
    assert (tag("temporal"), tag("temporal-ui")) == found.groups()


def test_temporal_is_tuned_as_the_one_that_a_node_starts_itself() -> None:
    given = yaml.safe_load((ROOT / "deploy" / "temporal" / "dynamicconfig.yaml").read_text())
    tuned = {f"{key}={json.dumps(value)}" for key, [each] in given.items() for value in each.values()}
    assert tuned == set(temporal_server.TUNED)


def test_postgresql_is_the_version_of_the_tests() -> None:
    assert postgres.BIN.parent.name == tag("postgresql")


def test_ours_is_this_version() -> None:
    assert tag("api") == tag("worker") == tag("runner") == version("iarnet")


@pytest.mark.parametrize("service", ["api", "worker", "runner"])
def test_its_settings_are_ours(service: str, tmp_path: Path) -> None:
    """An unknown key, or a side that would be alone, is refused."""
    environ = {key: str(value) for key, value in SERVICES[service]["environment"].items()}
    settings = load_settings(None, {"HOME": str(tmp_path), **environ}, {}, cwd=tmp_path).settings
    [role] = SERVICES[service]["command"]
    assert roles.settled(settings, role).shares_store
    assert str(settings.secrets.key_file).startswith("/keys/")


def test_what_is_mounted_and_built_from_is_here() -> None:
    for service in SERVICES.values():
        sources = [volume.split(":")[0] for volume in service.get("volumes", ()) if volume.startswith(".")]
        build: dict[str, Any] = service.get("build", {"context": ".", "dockerfile": "deploy/Dockerfile"})
        assert all((ROOT / source).exists() for source in (*sources, build["dockerfile"]))


def test_only_the_loopback_is_published() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert published
    hosts = [port["host_ip"] if isinstance(port, dict) else port.split(":")[0] for port in published]
    assert set(hosts) == {"127.0.0.1"}


def test_the_image_gets_all_that_the_package_is_made_of() -> None:
    copied = re.findall(r"^COPY (\w+) \1$", (ROOT / "deploy" / "Dockerfile").read_text(), re.MULTILINE)
    packages = re.search(r"^packages = \[(.*)\]$", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert packages
    assert copied == re.findall(r'"(\w+)"', packages[1])
    assert {f"!{name}" for name in copied} <= set((ROOT / ".dockerignore").read_text().split())


def test_all_of_ours_share_what_they_share_in_the_tests() -> None:
    keys = {"IARNET_TEMPORAL__ADDRESS", "IARNET_DATABASE_URL", "IARNET_SECRETS__KEY_FILE", "IARNET_TOKEN_FILE"}
    assert all(keys <= set(SERVICES[service]["environment"]) for service in ("api", "worker", "runner"))
    token, key = "IARNET_TOKEN_FILE", "IARNET_SECRETS__KEY_FILE"
    files = {(s["environment"][token], s["environment"][key]) for s in SERVICES.values() if "build" in s}
    assert len(files) == 1

import json
import os
import socket
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from typer.testing import CliRunner

from iarnet.cli.check import Machine
from iarnet.cli.checks import run_checks
from iarnet.cli.main import app as program
from iarnet.config import load_settings


@pytest.fixture
def look(tmp_path, free_port):
    def at(*, running: bool = False, environ: dict | None = None, **flags):
        base = {"data_dir": str(tmp_path / "data"), "listen_addr": f"127.0.0.1:{free_port}"}
        base |= {"docker.host": "none", "docker.network_pool": "203.0.113.0/24"}
        base |= {"temporal.port": 0, "temporal.ui_port": 0}
        keys = {key.replace("__", "."): value for key, value in flags.items()}
        settings = load_settings(None, {}, base | keys, cwd=tmp_path).settings
        machine = Machine(settings, environ or dict(os.environ), running)
        return {check.name: check for check in run_checks(machine)}

    return at


@pytest.fixture
def engine(tmp_path):
    """A server at a socket that answers as an engine does, with what a test wants to see."""
    answers = {
        "version": {"ApiVersion": "1.45", "Version": "27.0"},
        "info": {"SystemTime": datetime.now(UTC).isoformat().replace("+00:00", "123Z"), "Warnings": None},
        "networks": [{"IPAM": {"Config": [{"Subnet": "172.17.0.0/16"}]}}, {"IPAM": {"Config": None}}],
    }
    api = FastAPI()
    api.get("/{what}")(lambda what: answers[what])
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "docker.sock"))
    listening.listen()
    server = uvicorn.Server(uvicorn.Config(api, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield f"unix://{tmp_path}/docker.sock", answers
    server.should_exit = True
    thread.join(10)


def test_a_machine_that_has_everything(look):
    found = look()
    assert {name: c.says for name, c in found.items() if c.state == "fail"} == {}
    assert {"python", "git", "temporal", "docker", "disk", "memory", "data directory", "database"} <= set(found)


@pytest.mark.parametrize(
    ("flags", "name", "says", "fix"),
    [
        ({"mode": "k8s"}, "mode", "no Kubernetes provider", "providers add"),
        ({"git__binary": "/no/git"}, "git", "not found", "`git.binary`"),
        ({"git__binary": "/bin/true"}, "git", "too old", "2.37"),
        ({"temporal__binary": "/no/temporal"}, "temporal", "/no/temporal", "temporal"),
        ({"temporal__binary": "/bin/false"}, "temporal", "does not run", "again"),
        ({"temporal__address": "127.0.0.1:1"}, "temporal", "does not answer", "`temporal.address`"),
        ({"docker__host": "unix:///no/docker.sock"}, "docker", "no engine answers", "`docker.host`"),
        ({"docker__host": "tcp://127.0.0.1:1"}, "docker", "no engine answers", "`docker.host`"),
        ({"database_url": "postgresql://ann:hunter2@127.0.0.1:1/x"}, "database", "does not answer", "`database_url`"),
        ({"data_dir": "/dev/null/iarnet"}, "data directory", "can't be written", "`data_dir`"),
    ],
)
def test_what_is_missing_is_named_with_a_way_to_fix_it(look, flags, name, says, fix):
    check = look(**flags)[name]
    assert check.state == "fail"
    assert says in check.says
    assert fix in check.fix
    assert "hunter2" not in check.model_dump_json()


def test_in_a_cluster_the_missing_provider_is_a_warning(look, tmp_path, monkeypatch):
    account = tmp_path / "token"
    account.write_text("t")
    monkeypatch.setattr("workers.mode.SERVICE_ACCOUNT", account)
    pod = {**os.environ, "KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    found = look(environ=pod, docker__host="")
    assert (found["mode"].state, "providers add" in found["mode"].fix) == ("warn", True)
    assert (found["docker"].state, found["docker"].says) == ("ok", "not used in this configuration")
    assert look(environ=pod, docker__host="", mode="standalone")["mode"].says == "standalone"
    assert look(environ=pod, docker__host="unix:///no/docker.sock")["docker"].state == "fail"


def test_an_analyser_that_does_not_answer_is_a_warning(look):
    assert "analyser" not in look()
    with socket.create_server(("127.0.0.1", 0)) as there:
        address = f"127.0.0.1:{there.getsockname()[1]}"
        assert look(analysis__address=address)["analyser"].state == "ok"
    found = look(analysis__address=address)["analyser"]
    assert (found.state, "built-in analysis stands in" in found.fix) == ("warn", True)


def test_a_port_that_is_taken(look):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert look(listen_addr=address)["port of the API"].state == "fail"
        assert look(listen_addr=address, running=True)["port of the API"].state == "ok"
        assert look(temporal__port=taken.getsockname()[1])["port of Temporal"].state == "warn"


def test_a_port_for_names_is_free_ours_or_somebody_elses(look, tmp_path, free_port):
    name = "port for names"
    assert look(gateway__http_port=free_port)[name].state == "ok"
    with socket.create_server(("127.0.0.1", free_port)):
        found = look(gateway__http_port=free_port, running=True)[name]
        assert (found.state, f"(process {os.getpid()})" in found.says) == ("warn", True)
        assert "gateway.http_port" in found.fix
        (tmp_path / "data" / "gateway").mkdir(parents=True)
        (tmp_path / "data" / "gateway" / "process.json").write_text(json.dumps({"pid": os.getpid()}))
        assert look(gateway__http_port=free_port)[name].state == "ok"
    assert name not in look(gateway__enabled=False)


def test_files_that_others_can_read_and_a_database_that_is_none(look, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "token").write_text("t")
    (data / "token").chmod(0o644)
    (data / "iarnet.db").write_text("this is no database" * 100)
    found = look()
    assert (found["token"].state, found["token"].fix) == ("fail", f"chmod 600 {data}/token")
    assert found["database"].state == "fail"


def test_listening_for_all_without_tls_is_a_warning(look, free_port):
    assert look(listen_addr=f"0.0.0.0:{free_port}")["exposure"].state == "warn"


def test_an_engine_that_is_well(look, engine):
    found = look(docker__host=engine[0])
    assert [found[name].state for name in ("docker", "networks", "clock")] == ["ok", "ok", "ok"]


def test_an_engine_that_is_too_old_lacks_limits_or_has_another_time(look, engine):
    address, answers = engine
    answers["info"] = {
        "SystemTime": "2020-01-01T00:00:00.123456789Z",
        "Warnings": ["No memory limit support"],
    }
    found = look(docker__host=address)
    assert (found["docker"].state, found["clock"].state) == ("warn", "warn")
    answers["version"] = {"ApiVersion": "1.38", "Version": "18.06"}
    assert (look(docker__host=address)["docker"].state) == "fail"


def test_networks_that_fill_the_pool_or_cross_it(look, engine):
    address, answers = engine
    answers["networks"] = [{"IPAM": {"Config": [{"Subnet": "203.0.113.0/24"}]}}]
    assert look(docker__host=address)["networks"].state == "warn"
    assert look(docker__host=address, docker__network_pool="127.0.0.0/8")["networks"].state == "fail"


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_an_engine_that_may_not_be_used(look, engine):
    Path(engine[0].removeprefix("unix://")).chmod(0)
    assert "group `docker`" in look(docker__host=engine[0])["docker"].fix


def test_the_command_tells_all_and_is_1_when_something_fails(tmp_path):
    (tmp_path / "config.yaml").write_text("mode: swarm")
    environ = {
        "HOME": str(tmp_path),
        "IARNET_CONFIG": str(tmp_path / "config.yaml"),
        "DOCKER_HOST": "unix:///no/docker",
    }
    shown = CliRunner().invoke(program, ["doctor", "--json"], env=environ)
    found = json.loads(shown.stdout)
    assert (shown.exit_code, found["ok"]) == (1, False)
    states = {check["name"]: check for check in found["checks"]}
    assert states["configuration"]["state"] == "fail"
    assert "`mode` must be" in states["configuration"]["says"]
    assert states["docker"]["state"] == "fail"
    assert states["python"]["state"] == "ok"
    for_people = CliRunner().invoke(program, ["doctor"], env=environ)
    assert (for_people.exit_code, "-> " in for_people.stdout) == (1, True)

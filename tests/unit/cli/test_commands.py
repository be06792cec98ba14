import json
import os
import signal
import subprocess
import sys
import threading

import pytest

from iarnet.cli.arguments import counts, is_app, pairs, repository
from iarnet.errors import InvalidInput


def document(result):
    return json.loads(result.stdout)


def failed(result):
    return json.loads(result.stderr.splitlines()[-1])["error"]


@pytest.mark.parametrize(
    ("args", "code", "exit_code"),
    [
        (["status", "nothing"], "NotFound", 4),
        (["logs", "nothing"], "NotFound", 4),
        (["logs", "shop", "nothing"], "NotFound", 4),
        (["events", "nothing"], "NotFound", 4),
        (["why", "shop", "nothing"], "NotFound", 4),
        (["deploy", "nothing"], "NotFound", 4),
        (["rollback", "shop", "--revision", "9"], "NotFound", 4),
        (["secrets", "rm", "nothing", "--yes"], "NotFound", 4),
        (["providers", "rm", "nothing", "--yes"], "NotFound", 4),
        (["replay", "change.gone"], "NotFound", 4),
        (["start", "idle"], "Conflict", 5),
        (["retry", "idle"], "Conflict", 5),
        (["cancel", "shop"], "Conflict", 5),
        (["status", "Shop!"], "InvalidInput", 3),
        (["deploy", "shop", "--set", "web"], "InvalidInput", 3),
        (["deploy", "shop", "--set", "a=1", "--set", "a=2"], "InvalidInput", 3),
        (["deploy", "shop", "--set", "bad key=1"], "InvalidInput", 3),
        (["deploy", "shop", "--on-failure", "panic"], "InvalidInput", 3),
        (["deploy", "shop", "--name", "other"], "InvalidInput", 3),
        (["deploy", "ext::sh -c id"], "InvalidUrl", 3),
        (["import", "https://ann:hunter2@example.org/x.git"], "InvalidUrl", 3),
        (["fork", "shop"], "InvalidInput", 3),
        (["scale", "shop", "web=many"], "InvalidInput", 3),
        (["scale", "shop", "web"], "InvalidInput", 3),
        (["delete", "shop"], "InvalidInput", 3),
        (["secrets", "set", "empty"], "InvalidInput", 3),
        (["logs", "shop", "--build"], "InvalidInput", 3),
        (["analyze", "idle"], "NothingToRun", 3),
        (["analyze", "./not-there"], "InvalidUrl", 3),
        (["providers", "add", "x", "tcp://h:1", "--config-value", "ca_cert=@/not/there"], "InvalidInput", 3),
    ],
)
def test_a_refusal_has_a_code_and_an_exit_code_and_no_traceback(call, args, code, exit_code):
    result = call(*args, "--json", stdin="")
    assert (failed(result)["code"], result.exit_code) == (code, exit_code)
    assert "hunter2" not in result.output
    for_people = call(*args, stdin="")
    assert for_people.exit_code == exit_code
    assert f"[{code}]" in for_people.stderr
    assert "Traceback" not in for_people.output


@pytest.mark.parametrize(
    "args", [["deploy"], ["frobnicate"], ["status", "shop", "--frob"], ["logs", "shop", "--tail", "x"]]
)
def test_wrong_usage_is_2(call, args):
    assert call(*args).exit_code == 2


def test_no_node_a_dead_node_and_what_is_no_node(node, tmp_path, free_port):
    nowhere = node.call("status", "shop", "--data-dir", str(tmp_path))
    assert (nowhere.exit_code, "iarnet up" in nowhere.stderr) == (6, True)
    dead = node.call("status", "shop", "--server", f"http://127.0.0.1:{free_port}", "--token", "t")
    assert (dead.exit_code, "does not answer" in dead.stderr) == (6, True)
    odd = node.call("status", "shop", "--server", "gopher://x", "--token", "t", "--json")
    assert (odd.exit_code, failed(odd)["code"]) == (3, "InvalidInput")
    elsewhere = node.call("status", "shop", "--server", f"{node.url}/elsewhere", "--token", "correct-horse", "--json")
    assert elsewhere.exit_code in (3, 4)


def test_the_local_token_is_never_sent_to_an_address_that_somebody_typed(node):
    result = node.call("status", "shop", "--server", "http://localhost:1", "--json")
    assert (result.exit_code, failed(result)["code"]) == (3, "Unauthorized")
    assert node.call("status", "shop", "--server", node.url).exit_code == 0


def test_a_token_that_others_can_read_or_that_is_wrong_is_refused(node, tmp_path):
    (tmp_path / "address").write_text(node.url)
    (tmp_path / "token").write_text("correct-horse")
    (tmp_path / "token").chmod(0o644)
    loose = node.call("status", "shop", "--data-dir", str(tmp_path))
    assert (loose.exit_code, "chmod 600" in loose.stderr) == (3, True)
    wrong = node.call("status", "shop", "--json", IARNET_TOKEN="wrong")
    assert (wrong.exit_code, failed(wrong)["code"]) == (3, "Unauthorized")


def test_a_config_of_some_other_program_in_this_folder_does_not_matter(node, tmp_path, monkeypatch):
    (tmp_path / "config.yaml").write_text("theirs: 1")
    monkeypatch.chdir(tmp_path)
    assert node.call("status", "shop").exit_code == 0
    assert node.call("config").exit_code == 3
    assert node.call("status", "shop", "--config", "config.yaml").exit_code == 3


def test_deploy_follows_to_the_end_and_says_where_it_runs(call):
    assert call("secrets", "set", "shop/t", stdin="x").exit_code == 0
    result = call(
        "deploy", "shop", "--set", "web.env.X=a=b", "--secret", "web.env.T=shop/t", "-c", "web", "--no-fetch"
    )
    assert result.exit_code == 0
    assert "shop: deploy succeeded in 1.5 s" in result.stdout
    assert "http://localhost:20080" in result.stdout
    asked = json.loads(next(line for line in result.stdout.splitlines() if line.startswith("note: "))[6:])
    assert asked["settings"] == {"web.env.X": "a=b"}
    assert asked["secrets"] == {"web.env.T": "shop/t"}
    assert asked["components"] == ["web"]
    assert asked["fetch"] is False


def test_deploy_json_is_one_document(call):
    found = document(call("deploy", "shop", "--json"))
    assert found["workflow_id"] == "change.shop"
    assert found["progress"]["status"] == "succeeded"
    assert found["result"]["addresses"] == {"web": "http://localhost:20080"}


def test_deploy_of_an_address_imports_first(call):
    result = call("deploy", "https://example.org/brand-new.git", "--json")
    assert result.exit_code == 0
    assert document(result)["workflow_id"] == "change.brand-new"
    assert [a["name"] for a in document(call("apps", "ls", "--json"))["apps"]].count("brand-new") == 1


def test_a_failed_deployment_is_1_with_component_hint_and_log(call):
    result = call("deploy", "shop", "--set", "web.env.HOW=fail")
    assert result.exit_code == 1
    assert "error: web: exited with 3  [InstanceExited]" in result.stderr
    assert "hint:  read its log" in result.stderr
    assert "| Traceback" in result.stderr
    assert "\x1b" not in result.output
    as_json = call("deploy", "shop", "--set", "web.env.HOW=fail", "--json")
    assert document(as_json)["progress"]["failure"]["code"] == "InstanceExited"
    assert failed(as_json)["component"] == "web"


def test_detach_then_a_second_change_is_refused_then_cancelled(call):
    started = document(call("deploy", "shop", "--set", "web.env.HOW=hang", "--detach", "--json"))
    assert started["workflow_id"] == "change.shop"
    second = call("stop", "shop", "--json")
    assert (second.exit_code, failed(second)["code"]) == (5, "ChangeInProgress")
    assert call("cancel", "shop").exit_code == 0


def test_a_cancelled_deployment_is_7_for_whoever_follows_it(node):
    follower = Program(node, "deploy", "shop", "--set", "web.env.HOW=hang")
    assert follower.wait_for("shop/web: starting - waiting for port 80")
    assert node.call("cancel", "shop").exit_code == 0
    assert follower.ended() == 7


def test_ctrl_c_leaves_it_going_and_says_how_to_go_on(node):
    follower = Program(node, "deploy", "shop", "--set", "web.env.HOW=hang")
    assert follower.wait_for("shop/web: starting")
    follower.process.send_signal(signal.SIGINT)
    assert follower.ended() == 130
    text = "\n".join(follower.lines)
    assert "goes on without you" in text
    assert "iarnet cancel shop" in text
    assert "Traceback" not in text
    assert node.call("cancel", "shop").exit_code == 0


@pytest.mark.parametrize(
    ("args", "cause"),
    [
        (["stop", "shop"], "stop"),
        (["start", "shop"], "start"),
        (["retry", "shop"], "retry"),
        (["fork", "shop", "--set", "web.env.A=1"], "fork"),
        (["rollback", "shop", "--revision", "1"], "rollback"),
        (["scale", "shop", "web=3"], "scale"),
        (["delete", "idle", "--yes", "--delete-data"], "delete"),
    ],
)
def test_each_change_asks_for_what_it_says(call, args, cause):
    result = call(*args, "--json")
    assert result.exit_code == 0, result.stderr
    asked = json.loads(document(result)["result"]["notes"][0])
    assert asked["cause"] == cause
    assert asked.get("keep_data", True) is (cause != "delete")


def test_restart_needs_something_that_runs(call):
    result = call("restart", "shop", "web", "--json")
    assert (result.exit_code, failed(result)["code"]) == (5, "Conflict")


def test_import_names_the_commit(call):
    result = call("import", "https://example.org/fresh.git")
    assert "fresh is imported at eeeeeeeeeeee; deploy it with `iarnet deploy fresh`" in result.stdout


def test_status_apps_plan_and_why_for_people(call):
    assert "https://example.org/shop.git" in call("apps", "ls").stdout
    status = call("status", "shop").stdout
    assert all(word in status for word in ("shop", "web", "0/1"))
    assert all(word in status for word in ("requests", "12.5/s", "0.4%", "8.2 ms", "20 ms"))
    assert "requests" not in call("status", "idle").stdout
    assert "r1" in call("status", "shop", "--revisions").stdout
    assert "shop.1" in call("status", "shop", "--deployments").stdout
    plan = call("plan", "shop", "--set", "web.replicas=2").stdout
    assert all(word in plan for word in ("r1 -> r2", "iarnet-shop-web-r2-0", "new image", "keep", "stopped first"))
    assert "nothing to do" in call("plan", "shop", "--set", "web.env.HOW=same").stdout
    why = call("why", "shop", "web").stdout
    assert all(word in why for word in ("most room", "fit 0.750", "far", "it does not answer"))


def test_every_look_has_a_json_form(call):
    looks = [["apps", "ls"], ["status", "shop"], ["plan", "shop"], ["why", "shop", "web"], ["providers", "ls"]]
    looks += [["secrets", "ls"], ["version"], ["config"], ["status", "shop", "--revisions"], ["analyze", "shop"]]
    looks += [["status", "shop", "--deployments"], ["logs", "shop", "web", "--build"], ["replay", "change.same"]]
    for args in looks:
        assert isinstance(document(call(*args, "--json")), dict), args
        assert isinstance(document(call("--json", *args)), dict), args


def test_events_are_lines_and_steer_no_terminal(call):
    lines = [json.loads(line) for line in call("events", "shop", "--json").stdout.splitlines()]
    assert [line["message"][-9:] for line in lines] == ["attempt 0", "attempt 1", "attempt 2"]
    assert len(call("events", "shop", "--after", str(lines[1]["id"])).stdout.splitlines()) == 1
    assert "\x1b" not in call("events", "shop").stdout


def test_events_are_followed(node):
    follower = Program(node, "events", "shop", "-f", "--json")
    assert follower.wait_for("attempt 2")
    follower.process.send_signal(signal.SIGINT)
    assert follower.ended() == 130
    assert "Traceback" not in "\n".join(follower.lines)


def test_build_log(call):
    assert call("logs", "shop", "web", "--build").stdout == "step 1\nstep 2\n"


def test_replay_says_whether_it_differs(call):
    assert call("replay", "change.same").exit_code == 0
    differs = call("replay", "change.other")
    assert (differs.exit_code, "activity 3 differs" in differs.stdout) == (1, True)


def test_secrets_go_in_by_standard_input_and_never_come_out(call):
    assert call("secrets", "set", "shop/api-key", stdin="hunter2\n").exit_code == 0
    listed = call("secrets", "ls")
    assert "shop/api-key" in listed.stdout
    assert "hunter2" not in listed.output
    assert call("secrets", "rm", "shop/api-key", "--yes").exit_code == 0
    assert "shop/api-key" not in call("secrets", "ls").stdout


def test_providers_come_and_go(call, tmp_path):
    (tmp_path / "ca.pem").write_text("CERTIFICATE")
    add = ["providers", "add", "box", "tcp://box:2376", "--config-value", f"ca_cert=@{tmp_path}/ca.pem"]
    added = call(*add, "--secret", "client_key=keys/box", "--label", "zone=a")
    assert (added.exit_code, "it answers in 2 ms, version 27.0" in added.stdout) == (0, True)
    twice = call(*add, "--json")
    assert (twice.exit_code, failed(twice)["code"]) == (5, "AlreadyExists")
    assert "1.5" in call("providers", "ls").stdout
    assert call("providers", "rm", "box", "--yes").exit_code == 0
    assert call("providers", "test", "memory").exit_code == 0


def test_the_environment_decides_on_colour_and_drawing(call):
    plain = call("deploy", "shop", NO_COLOR="1", CI="true")
    assert "\x1b" not in plain.output


def test_settings_and_counts_are_read_strictly():
    assert pairs(["a=1", "b=x=y", "c="], "--set") == {"a": "1", "b": "x=y", "c": ""}
    assert counts(["web=0", "api=12"]) == {"web": 0, "api": 12}
    for bad in ("web=-1", "web=1.5", "web=1000", "web=", "=3"):
        with pytest.raises(InvalidInput):
            counts([bad])


def test_names_paths_and_addresses_are_told_apart(tmp_path):
    (tmp_path / "shop").mkdir()
    assert is_app("shop")
    assert not any(map(is_app, ["./shop", "shop.git", "git@host:x", "https://x/y", "Shop", "-x", "", "a" * 41]))
    assert repository("./shop", tmp_path) == f"file://{tmp_path}/shop"
    assert repository("./none", tmp_path) == "./none"
    assert repository("https://example.org/x.git", tmp_path) == "https://example.org/x.git"
    assert repository("git@example.org:x.git", tmp_path) == "git@example.org:x.git"


class Program:
    """The program in a process of its own, its output read line by line."""

    def __init__(self, node, *args: str) -> None:
        environ = {k: v for k, v in os.environ.items() if not k.startswith("IARNET_")}
        environ |= {"HOME": str(node.home), "IARNET_DATA_DIR": str(node.data_dir)}
        code = "from iarnet.cli.main import main; main()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *args],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._new = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def wait_for(self, text: str) -> bool:
        with self._new:
            return self._new.wait_for(lambda: any(text in line for line in self.lines), timeout=30)

    def ended(self) -> int:
        code = self.process.wait(30)
        self._reader.join(30)
        return code

    def _read(self) -> None:
        for line in self.process.stdout:
            with self._new:
                self.lines.append(line.rstrip("\n"))
                self._new.notify_all()

"""Nothing waits for ever, and what may wait long says why. Whoever adds a wait gives it a deadline or a line here."""

import ast
from collections.abc import Iterator, Set
from pathlib import Path
from typing import Any

import pytest

import workflows
from activities import options
from activities.options import undoing
from iarnet.config import load_settings
from iarnet.errors import InvalidConfig

ROOT = Path(workflows.__path__[0]).parent
OPTIONS: dict[str, Any] = {k: v for k, v in vars(options).items() if k.isupper() and isinstance(v, dict)}

PATIENT = {
    "WATCH": "a watch has nothing better to do than to wait until somebody can do it",
    "FOLLOW": "it lasts as long as the provider, and its heartbeats say that somebody does it",
}
"""Activities that nobody has to take up within a time."""

CONDITIONS = {
    ("workflows/execution.py", "_after"): "the end of operations, each of which has deadlines",
    ("workflows/health_watch.py", "_watch"): "something to do: a watch lasts as long as its app",
    ("workflows/health_watch.py", "_finish_up"): "the end of what it has cancelled itself",
    ("workflows/health_watch.py", "_mend"): "the end of a change, of which the guard of holds makes sure",
    ("workflows/provider_watch.py", "run"): "something to do: a watch lasts as long as its provider",
}
"""Where a workflow waits without a time-out, and for what."""

CLIENTS = {
    *("httpx.Client", "httpx.AsyncClient", "httpx.get", "httpx.post", "docker.APIClient", "docker.DockerClient"),
    *("_Client", "subprocess.run", "socket.create_connection", "urllib.request.urlopen", "smtplib.SMTP"),
}
"""What takes its deadline as `timeout`."""

STREAMS = {"asyncio.open_connection", "asyncio.open_unix_connection", "grpc.aio.insecure_channel", "asyncssh.connect"}
"""What has none of its own."""

BOUNDED = {
    ("iarnet/analysers/external.py", "_call"): "the call has `analysis.timeout_s`",
    ("iarnet/gateway/remote.py", "_lead"): "a socket of our own process, which is there",
    ("iarnet/providers/docker/channel.py", "_connected"): "`run` gives it `_OPEN_S`",
    ("iarnet/providers/docker/ports.py", "_answers"): "a block of `_CONNECT_S` is around it",
    ("iarnet/providers/grpc_health.py", "probe_grpc"): "the question has the check's `timeout_s`",
    ("iarnet/providers/probe.py", "dial"): "`probe_port` gives it the check's `timeout_s`",
    ("workers/quickstart.py", "_git"): "a person looks on, and git works on this disk alone",
    ("workers/quickstart.py", "_iarnet"): "a person looks on",
}
"""Where a deadline stands elsewhere, or why there is none."""


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_every_activity_has_a_deadline_for_its_begin_and_for_its_end(name: str) -> None:
    found = OPTIONS[name]
    assert found["start_to_close_timeout"].total_seconds() > 0
    taken_up = "schedule_to_start_timeout" in found or "schedule_to_close_timeout" in found
    assert taken_up != (name in PATIENT)
    limited = found["retry_policy"].maximum_attempts > 0 or "schedule_to_close_timeout" in found
    assert limited or name in PATIENT, "what fails is tried a number of times, or for a time"


@pytest.mark.parametrize(("key", "within"), [("builds.timeout_s", "BUILD"), ("git.timeout_s", "SOURCE")])
def test_a_setting_allows_less_than_the_activity_has(tmp_path: Path, key: str, within: str) -> None:
    """What that ends is begun anew; what the setting ends fails, and says so."""
    name = f"IARNET_{key.upper().replace('.', '__')}"
    given = f"{OPTIONS[within]['start_to_close_timeout'].total_seconds():g}"
    with pytest.raises(InvalidConfig, match=rf"{key}.* must be less than or equal to \d+, not .*{given}"):
        load_settings(None, {"HOME": str(tmp_path), name: given}, {}, cwd=tmp_path)


@pytest.mark.parametrize("name", ["BUILD", "DEPLOY", "REMOVE", "PREPARE"])
def test_what_undoes_has_one_deadline_for_all_attempts(name: str) -> None:
    undo = undoing(OPTIONS[name])
    assert (
        undo["schedule_to_close_timeout"] > undo["start_to_close_timeout"] == OPTIONS[name]["start_to_close_timeout"]
    )
    assert undo["retry_policy"].maximum_attempts == 0
    assert undo["cancellation_type"] == OPTIONS[name]["cancellation_type"]


def test_every_activity_that_a_workflow_starts_is_given_its_deadlines() -> None:
    started = [
        (path, function, call)
        for path, function, name, call in calls("workflows")
        if name.rpartition(".")[2].startswith(("execute_", "start_")) and "activity" in name
    ]
    assert started
    for path, function, call in started:
        given = {keyword.arg for keyword in call.keywords}
        assert given & {None, "start_to_close_timeout"}, f"{path}: {function}"


def test_every_wait_of_a_workflow_has_a_deadline_or_a_reason() -> None:
    waits = [(p, f, c) for p, f, name, c in calls("workflows") if name.endswith((".wait_condition", ".wait"))]
    assert {(p, f) for p, f, call in waits if not bounded(call)} == CONDITIONS.keys()


def test_every_call_to_others_has_a_deadline_or_a_reason() -> None:
    everything = list(calls("iarnet", "activities", "workers", "api", mentioning=CLIENTS | STREAMS))
    clients = {(p, f) for p, f, name, call in everything if name in CLIENTS and not bounded(call)}
    streams = {(p, f) for p, f, name, _ in everything if name in STREAMS}
    assert {name for _, _, name, _ in everything} >= {"httpx.Client", "httpx.AsyncClient", "docker.APIClient"}
    assert clients | streams == BOUNDED.keys()


def bounded(call: ast.Call) -> bool:
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    value = given.get("timeout")
    return value is not None and not (isinstance(value, ast.Constant) and value.value is None)


def calls(*packages: str, mentioning: Set[str] = frozenset({""})) -> Iterator[tuple[str, str, str, ast.Call]]:
    """File, innermost function, dotted name and call, of all that files call which mention one of these words."""
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            text = path.read_text()
            if any(word in text for word in mentioning):
                where = str(path.relative_to(ROOT))
                yield from ((where, *found) for found in _calls(ast.parse(text), ""))


def _calls(node: ast.AST, function: str) -> Iterator[tuple[str, str, ast.Call]]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        function = node.name
    if isinstance(node, ast.Call):
        yield function, ast.unparse(node.func), node
    for child in ast.iter_child_nodes(node):
        yield from _calls(child, function)

import pytest

from iarnet.analysis.engine import analyze
from iarnet.analysis.memory import MemoryTree
from iarnet.models.analysis import Analysis

PYTHON = {
    "requirements.txt": "flask\npsycopg2\n",
    "web.py": "import flask, os\napp = flask.Flask('a')\nMODE = os.environ.get('MODE')\n",
}


def found(files: dict[str, str]) -> Analysis:
    return analyze(MemoryTree({**PYTHON, **files}))


def settings(analysis: Analysis, name: str = "api") -> dict[str, tuple[str | None, str | None, bool]]:
    component = next(c for c in analysis.components if c.name == name)
    return {variable.name: (variable.value, variable.secret, variable.required) for variable in component.env}


def test_app_json_says_settings_and_services() -> None:
    text = """{
  "env": {
    "MODE": "live",
    "TOKEN": {"description": "for the bank"},
    "COLOUR": {"value": "red", "required": false},
    "NICK": {"required": false},
    "SECRET_KEY": {"generator": "secret"}
  },
  "addons": ["heroku-postgresql:mini", {"plan": "heroku-redis"}, "papertrail"]
}"""
    analysis = found({"app.json": text})
    env = settings(analysis)
    assert env["MODE"] == ("live", None, False)
    assert env["TOKEN"] == (None, None, True)
    assert env["COLOUR"] == ("red", None, False)
    assert env["NICK"] == (None, None, False)
    assert env["SECRET_KEY"] == ("{secret}", "api/secret-key", False)
    assert sorted(c.name for c in analysis.components) == ["api", "postgres", "redis"]
    place = next(e for e in analysis.evidence if e.fact == "api.env.TOKEN" and e.detector == "hints")
    assert (place.file, place.line) == ("app.json", 4)
    assert ("api", "postgres") in [(edge.from_, edge.to) for edge in analysis.edges]


def test_what_expo_calls_so_says_nothing() -> None:
    analysis = found({"app.json": '{"expo": {"name": "a"}}'})
    assert not [e for e in analysis.evidence if e.detector == "hints"]


def test_vercel_says_settings() -> None:
    text = '{"env": {"MODE": "live", "KEY": "@key"}, "build": {"env": {"MODE": "none", "STAGE": "two"}}, /* */}'
    env = settings(found({"vercel.json": text}))
    assert (env["MODE"], env["KEY"]) == (("live", None, False), (None, None, True))
    assert env["STAGE"][0] == "two"


@pytest.mark.parametrize("path", [".devcontainer/devcontainer.json", ".devcontainer.json"])
def test_a_development_container_is_evidence_only(path: str) -> None:
    analysis = found({path: '{\n // ours\n "forwardPorts": [9999, "db:5432"],\n "postCreateCommand": "make"\n}'})
    api = next(c for c in analysis.components if c.name == "api")
    assert 9999 not in {port.port for port in api.ports}
    seen = [e for e in analysis.evidence if e.detector == "hints"]
    assert [(e.fact, e.value, e.line) for e in seen] == [
        ("api.ports", "forwarded: 9999", 3),
        ("api.ports", "forwarded: db:5432", 3),
        ("api.build", "prepared by: make", 4),
    ]
    assert all(e.confidence < 0.5 for e in seen)


@pytest.mark.parametrize(
    "text",
    ["{", "[]", "7", '{"env": []}', '{"env": {"a b": "c", "D": 7}, "addons": 7, "forwardPorts": 7}', '{"build": []}'],
)
def test_a_broken_file_is_passed_over(text: str) -> None:
    for name in ("app.json", "vercel.json", ".devcontainer/devcontainer.json"):
        assert "api" in {c.name for c in found({name: text}).components}

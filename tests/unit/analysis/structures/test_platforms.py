import pytest

from iarnet.analysis.engine import analyze
from iarnet.analysis.files import TreeFiles
from iarnet.analysis.memory import MemoryTree
from iarnet.analysis.structures.platforms import Platforms
from iarnet.models.analysis import Analysis
from iarnet.models.component import Component

PYTHON = {"requirements.txt": "flask\n", "web.py": "import flask\napp = flask.Flask('a')\n"}


def found(files: dict[str, str]) -> Analysis:
    return analyze(MemoryTree({**PYTHON, **files}))


def only(files: dict[str, str]) -> Component:
    analysis = found(files)
    assert len(analysis.components) == 1
    return analysis.components[0]


@pytest.mark.parametrize(
    "files",
    [
        {"railpack.json": '{\n // how\n "deploy": {"startCommand": "gunicorn web:app --bind :7001"},\n}'},
        {"railway.json": '{"deploy": {"startCommand": "gunicorn web:app --bind :7001"}}'},
        {"railway.toml": '[deploy]\nstartCommand = "gunicorn web:app --bind :7001"\n'},
        {"nixpacks.toml": '[start]\ncmd = "gunicorn web:app --bind :7001"\n'},
    ],
)
def test_a_declared_start_command_wins_over_a_guess(files: dict[str, str]) -> None:
    component = only(files)
    assert (component.start_command, component.framework) == ("gunicorn web:app --bind :7001", "flask")
    assert [port.port for port in component.ports] == [7001]


def test_fly_says_processes_port_and_settings() -> None:
    text = '[env]\nMODE = "live"\n\n[processes]\nweb = "python web.py"\nmail = "python web.py mail"\n\n'
    analysis = found({"fly.toml": text + "[http_service]\ninternal_port = 7002\n"})
    web, mail = sorted(analysis.components, key=lambda component: component.name, reverse=True)
    assert (web.name, web.kind, web.ports[0].port) == ("web", "web", 7002)
    assert (mail.name, mail.kind, mail.start_command) == ("mail", "worker", "python web.py mail")
    assert {variable.name: variable.value for variable in web.env}["MODE"] == "live"
    place = next(e for e in analysis.evidence if e.fact == "mail.start_command")
    assert (place.file, place.line, place.detector) == ("fly.toml", 6, "platforms")


def test_what_a_stronger_file_says_stays() -> None:
    analysis = found({"railway.json": '{"deploy": {"startCommand": "a"}}', "Procfile": "web: b\nmail: c\n"})
    assert {c.name: c.start_command for c in analysis.components} == {"web": "a", "mail": "c"}


def test_heroku() -> None:
    component = only({"heroku.yml": "build:\n  docker:\n    web: Dockerfile\nrun:\n  web: python web.py\n"})
    assert component.start_command == "python web.py"


@pytest.mark.parametrize("text", ["{", "[[[", "[]", '{"deploy": 1}', '{"deploy": {"startCommand": 7}}', "\0"])
def test_a_broken_file_is_told_and_passed_over(text: str) -> None:
    for name in ("railpack.json", "railway.toml", "fly.toml", "heroku.yml"):
        structure = Platforms().read(TreeFiles(MemoryTree({name: text})))
        assert structure is None or not structure.components

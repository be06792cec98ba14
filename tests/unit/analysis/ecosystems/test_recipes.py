"""The text of generated Dockerfiles, read back with BuildKit's own parser."""

import dockerfile as parser
import pytest

from iarnet.analysis.base import Profile
from iarnet.analysis.ecosystems.catalog import ECOSYSTEMS
from iarnet.analysis.recipes.dockerfile import cmd, needs_shell, with_exec
from tests.unit.analysis.ecosystems.recognising import ask, package

PROGRAMS = {
    "pip": {"requirements.txt": "flask\n", "app.py": "from flask import Flask\napp = Flask(__name__)\n"},
    "uv": {"pyproject.toml": "[project]\n", "uv.lock": "", "main.py": "print(1)\n"},
    "npm": {
        "package.json": package(scripts={"start": "node a.js"}, dependencies={"express": "4"}),
        "a.js": "app.listen(1234)",
    },
    "vite": {
        "package.json": package(scripts={"build": "vite build"}, devDependencies={"vite": "5"}),
        "index.html": "",
    },
    "go": {"go.mod": "module example.org/a\n", "main.go": "package main\n\nfunc main() {\n}\n"},
    "maven": {"pom.xml": "<project/>", "src/main/java/A.java": "class A { public static void main(String[] a) {} }"},
    "gradle": {"build.gradle": "", "src/main/java/A.java": "class A { public static void main(String[] a) {} }"},
    "static": {"index.html": ""},
    "hugo": {"hugo.toml": ""},
    "jekyll": {"_config.yml": "", "Gemfile": "jekyll"},
}


def recipe(name: str) -> str:
    profiles = (ask(ecosystem, PROGRAMS[name]) for ecosystem in ECOSYSTEMS)
    profile: Profile = next(p for p in profiles if p and p.runnable)
    return profile.recipe or ""


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_recipe_is_one_that_the_classic_builder_reads(name: str) -> None:
    text = recipe(name)
    commands = parser.parse_string(text)
    last = max(i for i, command in enumerate(commands) if command.cmd.upper() == "FROM")
    final = {command.cmd.upper(): command for command in commands[last:]}
    assert final["USER"].value[0] not in ("0", "root")
    assert final["CMD"].json
    assert not any(command.cmd.upper() in ("HEALTHCHECK", "ADD") for command in commands)
    assert "<<" not in text
    assert "--mount" not in text
    assert not any(command.flags and "--mount" in command.flags[0] for command in commands)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("python app.py", 'CMD ["python", "app.py"]'),
        ("gunicorn 'a:b()'", 'CMD ["gunicorn", "a:b()"]'),
        ('node -e "a && b"', 'CMD ["node", "-e", "a && b"]'),
        ("serve -p $PORT", 'CMD ["/bin/sh", "-c", "exec serve -p $PORT"]'),
        ("echo '$HOME'", 'CMD ["echo", "$HOME"]'),
        ("A=1 B='x y' node a", 'CMD ["/bin/sh", "-c", "exec env A=1 B=\'x y\' node a"]'),
        ("a && b; c $X", 'CMD ["/bin/sh", "-c", "a && b; exec c $X"]'),
        ("a | b", 'CMD ["/bin/sh", "-c", "a | b"]'),
        ("a & b", 'CMD ["/bin/sh", "-c", "a & b"]'),
        ("a || b", 'CMD ["/bin/sh", "-c", "a || b"]'),
        ("exec a $X", 'CMD ["/bin/sh", "-c", "exec a $X"]'),
        ("a 'unclosed", 'CMD ["/bin/sh", "-c", "exec a \'unclosed"]'),
        ("a\nUSER root", 'CMD ["/bin/sh", "-c", "a\\nUSER root"]'),
    ],
)
def test_commands(command: str, expected: str) -> None:
    assert cmd(command) == expected


def test_what_needs_a_shell() -> None:
    assert [needs_shell(c) for c in ("a b", "a $B", "a *.js", "~/a", "")] == [False, True, True, True, True]
    assert with_exec("cd x && a") == "cd x && exec a"


@pytest.mark.parametrize(
    ("requirement", "library", "compiler"),
    [("psycopg", True, False), ("psycopg[binary]", False, False), ("psycopg[c]", True, True)],
)
def test_a_driver_that_brings_its_library_gets_none_from_the_distribution(
    requirement: str, library: bool, compiler: bool
) -> None:
    profile = ask(ECOSYSTEMS[0], {**PROGRAMS["pip"], "requirements.txt": f"flask\n{requirement}==3.2\n"})
    assert profile
    assert ("libpq5" in (profile.recipe or ""), "libpq-dev" in (profile.recipe or "")) == (library, compiler)

import pytest

from iarnet.analysis.files import TreeFiles
from iarnet.analysis.memory import MemoryTree
from iarnet.analysis.structures.dockerfile import Dockerfile, context_of, read_facts
from iarnet.errors import InvalidComponent
from iarnet.models.component import HealthCheck, Port

MULTI = """ARG PORT=9000
FROM node:20 AS build
EXPOSE 1
RUN make
FROM nginx AS run
ENV P=80
EXPOSE ${P} 53/udp
USER app
HEALTHCHECK --interval=3s --retries=9 CMD ["curl", "-f", "localhost"]
ENTRYPOINT ["/start"]
CMD ["serve", "now"]
"""


def files(**content: str) -> TreeFiles:
    return TreeFiles(MemoryTree({name.replace("__", "/"): text for name, text in content.items()}))


def test_the_last_stage_counts() -> None:
    facts, clues = read_facts(files(Dockerfile=MULTI), "Dockerfile")
    assert facts == {
        "ports": (Port(port=80), Port(port=53, protocol="udp")),
        "user": "app",
        "health": HealthCheck(type="command", command=("curl", "-f", "localhost"), interval_s=3, retries=9),
        "start_command": "/start serve now",
    }
    assert {clue.field: clue.line for clue in clues} == {"ports": 7, "user": 8, "health": 9, "start_command": 11}


def test_a_target_names_its_stage_and_stages_inherit() -> None:
    text = "FROM a AS base\nEXPOSE 80\nFROM base AS web\nCMD x\nFROM base AS other\nEXPOSE 90\n"
    assert read_facts(files(Dockerfile=text), "Dockerfile", "web")[0] == {
        "ports": (Port(port=80),),
        "start_command": "x",
    }
    with pytest.raises(InvalidComponent, match="no stage 'nope'"):
        read_facts(files(Dockerfile=text), "Dockerfile", "nope")


@pytest.mark.parametrize("text", ["", "\\", "RUN x\n", "FROM a\nENV A\n", "FROM a\nRUN <<E\nx\n"])
def test_a_broken_one_is_refused_where_it_is_meant_and_told_where_it_is_found(text: str) -> None:
    with pytest.raises(InvalidComponent) as refused:
        read_facts(files(Dockerfile=text), "Dockerfile")
    assert refused.value.where == "Dockerfile:1"
    with pytest.raises(InvalidComponent):
        Dockerfile().read(files(Dockerfile=text))
    structure = Dockerfile().read(files(a__Dockerfile=text, b__Dockerfile="FROM x"))
    assert structure is not None
    assert [c.name for c in structure.components] == ["b"]
    assert [(w.code, w.file) for w in structure.warnings] == [("broken-dockerfile", "a/Dockerfile")]


def test_a_context_is_where_the_copied_files_are() -> None:
    tree = MemoryTree({"api/Dockerfile": "FROM a\nCOPY api/main.py /\n", "api/main.py": ""})
    assert context_of(TreeFiles(tree), "api/Dockerfile") == "."
    tree = MemoryTree({"api/Dockerfile": "FROM a\nCOPY main.py /\n", "api/main.py": "", "main.py": ""})
    assert context_of(TreeFiles(tree), "api/Dockerfile") == "api"


def test_variants_are_components_and_development_ones_are_not() -> None:
    tree = MemoryTree(
        {
            "a/Dockerfile.api": "FROM a\n",
            "a/Dockerfile.worker": "FROM a\n",
            "a/Dockerfile.dev": "FROM a\n",
            "b/Dockerfile": "FROM a\n",
            "b/Dockerfile.debug": "FROM a\n",
            "docker/Dockerfile": "FROM a\n",
        }
    )
    structure = Dockerfile().read(TreeFiles(tree))
    assert structure is not None
    assert [(c.name, c.root) for c in structure.components] == [
        ("api", "a"),
        ("worker", "a"),
        ("b", "b"),
        ("", "."),
    ]


@pytest.mark.parametrize(
    ("text", "ports"),
    [
        ("FROM x\nENV SERVER_PORT=1345\n", [1345]),
        ("FROM x\nENV DB_PORT=5432 PORT=0\n", []),
        ("FROM x\nENV PORT=1345\nEXPOSE 80\n", [80]),
        ("FROM nginx:1.25-alpine\n", [80]),
        ("FROM php:8.3-apache\n", [80]),
        ("FROM php:8.3-cli\n", []),
        ("FROM node:20 AS build\nFROM tomcat:10\n", [8080]),
    ],
)
def test_ports_that_nobody_exposes(text: str, ports: list[int]) -> None:
    facts, _ = read_facts(TreeFiles(MemoryTree({"Dockerfile": text})), "Dockerfile")
    assert [port.port for port in facts.get("ports", ())] == ports

"""What goes over gRPC says what the published schema says, and nothing of it is lost on the way."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor

from api.analysed import EXAMPLE, AnalysisDocument
from iarnet.analysers import messages, reading
from iarnet.analysis.document import document
from iarnet.analysis.engine import analyze
from iarnet.errors import InvalidInput
from iarnet.models.analysis import Analysis
from iarnet.rpc.analysis_pb2 import CodeAnalysisResponse, Component, DAGEdge, ResourceRequirements
from iarnet.sources.folder import FolderTree
from tests.unit.analysers.whole import WHOLE

ROOT = Path(__file__).parents[3]
SCHEMA: dict[str, Any] = json.loads((ROOT / "docs/schemas/analysis.schema.json").read_text())
MESSAGES: dict[str, Descriptor] = {
    "component": Component.DESCRIPTOR,
    "requirements": ResourceRequirements.DESCRIPTOR,
    "edge": DAGEdge.DESCRIPTOR,
    "evidence": CodeAnalysisResponse.Evidence.DESCRIPTOR,
    "warning": CodeAnalysisResponse.Warning.DESCRIPTOR,
    "build": Component.Build.DESCRIPTOR,
    "port": Component.Port.DESCRIPTOR,
    "variable": Component.Variable.DESCRIPTOR,
    "health": Component.Health.DESCRIPTOR,
    "volume": Component.Volume.DESCRIPTOR,
    "file": Component.File.DESCRIPTOR,
}
# As the requirement document has them (§3.4.5).
DOCUMENTED = {
    "CodeAnalysisRequest": ["project_path", "language", "framework"],
    "CodeAnalysisResponse": ["components", "edges"],
    "Component": ["id", "name", "type", "language", "framework", "requirements"],
    "ResourceRequirements": ["cpu", "memory", "gpu", "storage"],
    "DAGEdge": ["from", "to", "type"],
}


@pytest.mark.parametrize("name", ["shop", "compose-notes"])
def test_nothing_of_an_example_is_lost_on_the_way(name: str) -> None:
    test_nothing_is_lost_on_the_way(analyze(FolderTree(ROOT / "examples" / name)))


@pytest.mark.parametrize("found", [WHOLE, Analysis(tree="")], ids=["whole", "empty"])
def test_nothing_is_lost_on_the_way(found: Analysis) -> None:
    encoded = messages.response(found).SerializeToString()
    assert document(reading.analysis(messages.answered(encoded))) == document(found)
    assert document(reading.analysis(json.loads(json.dumps(document(found))))) == document(found)
    assert AnalysisDocument.model_validate(document(found)).tree == found.tree


def test_the_example_in_the_description_of_the_api_is_one() -> None:
    assert AnalysisDocument.model_validate(EXAMPLE).components[0].id == "frontend"


def test_everything_that_can_be_said_is() -> None:
    said = document(WHOLE)
    assert set(said["components"][0]) == set(SCHEMA["$defs"]["component"]["properties"]) - {"image"}


@pytest.mark.parametrize("name", MESSAGES)
def test_the_messages_have_what_the_schema_has(name: str) -> None:
    assert set(MESSAGES[name].fields_by_name) == set(SCHEMA["$defs"][name]["properties"])


def test_documented_fields_have_their_documented_numbers_and_others_follow() -> None:
    file = CodeAnalysisResponse.DESCRIPTOR.file
    assert list(file.services_by_name["CodeAnalysisService"].methods_by_name) == ["AnalyzeCode"]
    for message, fields in DOCUMENTED.items():
        found = {field.number: field.name for field in file.message_types_by_name[message].fields}
        assert [found.pop(number) for number in range(1, len(fields) + 1)] == fields
        assert all(number >= 16 for number in found)


def test_what_is_committed_is_what_the_compiler_makes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", f"--python_out={tmp_path}", f"--pyi_out={tmp_path}"]
    subprocess.run([*command, "iarnet/rpc/analysis.proto"], cwd=ROOT, check=True)
    for made in (tmp_path / "iarnet" / "rpc").iterdir():
        assert made.read_text() == (ROOT / "iarnet" / "rpc" / made.name).read_text(), "run `make protos`"


@pytest.mark.parametrize("encoded", [b"\xff", b"\x0a\x05ab", "é".encode("latin-1")])
def test_what_is_no_message_is_refused(encoded: bytes) -> None:
    with pytest.raises(InvalidInput, match="not a CodeAnalysisResponse"):
        messages.answered(encoded)

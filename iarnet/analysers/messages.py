"""An analysis as the messages of `CodeAnalysisService`, and back. They are the documented answer, field by field."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.json_format import Error, MessageToDict, ParseDict
from google.protobuf.message import DecodeError

from iarnet.analysis.document import document
from iarnet.errors import InvalidInput
from iarnet.models.analysis import Analysis
from iarnet.rpc.analysis_pb2 import CodeAnalysisRequest, CodeAnalysisResponse

METHOD = "/CodeAnalysisService/AnalyzeCode"
"""The documents give the service no package."""


def response(found: Analysis) -> CodeAnalysisResponse:
    said = document(found)
    edges = said.pop("dag")["edges"]
    return ParseDict({**said, "edges": edges}, CodeAnalysisResponse())


def answered(encoded: bytes) -> dict[str, Any]:
    """The documented answer, without what is not set. Raises `InvalidInput` for what is no such message."""
    try:
        said: Mapping[str, Any] = MessageToDict(
            CodeAnalysisResponse.FromString(encoded), preserving_proto_field_name=True
        )
    except (DecodeError, Error, RecursionError) as error:
        raise InvalidInput(f"not a CodeAnalysisResponse: {type(error).__name__}") from error
    return {name: value for name, value in said.items() if name != "edges"} | {
        "dag": {"edges": said.get("edges", [])}
    }


def request(project_path: str) -> bytes:
    return CodeAnalysisRequest(project_path=project_path).SerializeToString()

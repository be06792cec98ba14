"""`CodeAnalysisService` as clients of gRPC know it: with reflection, health, and refusals in their words."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from structlog.testing import capture_logs

from iarnet.analysers import messages, reading
from iarnet.analysers.base import is_final
from iarnet.analysers.built_in import BuiltIn
from iarnet.analysers.external import ExternalAnalyser
from iarnet.analysers.projects import Projects
from iarnet.analysers.scratch import Scratch
from iarnet.analysis.document import document
from iarnet.analysis.engine import analyze
from iarnet.config import Settings
from iarnet.config_sections import Grpc, GrpcTls
from iarnet.errors import InvalidConfig
from iarnet.models.source import GitSource
from iarnet.rpc.analysis_pb2 import CodeAnalysisRequest, CodeAnalysisResponse
from iarnet.sources.folder import FolderTree
from iarnet.sources.git import GitSources
from iarnet.store.open import open_store
from tests.e2e.harness import until
from tests.e2e.repository import EXAMPLES, example
from tests.signing import Signer
from workers.answering import answering

TOKEN = "correct-horse"
PROJECT = "go-hello"


@pytest.fixture
async def projects(tmp_path: Path) -> AsyncIterator[Projects]:
    workspace = tmp_path / "workspaces"
    store = await open_store(f"sqlite:///{tmp_path}/iarnet.db", lambda: datetime.now(UTC))
    shutil.copytree(EXAMPLES / PROJECT, workspace / PROJECT)
    (workspace / "nothing").mkdir()
    yield Projects(workspace, store.facts, GitSources(workspace), max_bytes=1 << 20, max_files=100)
    await store.aclose()


@asynccontextmanager
async def answered(settings: Settings, projects: Projects) -> AsyncIterator[str]:
    """The address, once somebody answers there."""
    async with answering(settings, projects, TOKEN):
        yield await asyncio.to_thread(until, lambda: _written(settings), "gRPC answers")


@pytest.fixture
async def address(tmp_path: Path, projects: Projects) -> AsyncIterator[str]:
    settings = Settings(data_dir=tmp_path, peer_listen_addr="127.0.0.1:0")
    async with answered(settings, projects) as found:
        yield found
    assert not settings.grpc_address_file.exists()


@pytest.fixture
async def channel(address: str) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(address) as opened:
        yield opened


def _written(settings: Settings) -> str:
    return settings.grpc_address_file.read_text() if settings.grpc_address_file.exists() else ""


async def ask(channel: grpc.aio.Channel, path: str, token: str = TOKEN, **told: str) -> CodeAnalysisResponse:
    call = channel.unary_unary(
        messages.METHOD, CodeAnalysisRequest.SerializeToString, CodeAnalysisResponse.FromString
    )
    request = CodeAnalysisRequest(project_path=path, **told)
    metadata = [("authorization", f"Bearer {token}")] if token else []
    answer: CodeAnalysisResponse = await call(request, metadata=metadata, timeout=60)
    return answer


async def test_it_says_what_the_analysis_says(channel: grpc.aio.Channel) -> None:
    answer = await ask(channel, PROJECT, language="Go")
    found = reading.analysis(messages.answered(answer.SerializeToString()))
    assert document(found) == document(analyze(FolderTree(EXAMPLES / PROJECT)))


async def test_what_the_caller_believes_and_is_not_so_is_a_warning(channel: grpc.aio.Channel) -> None:
    answer = await ask(channel, PROJECT, language="cobol", framework="rails")
    doubts = [each.message for each in answer.warnings if each.code == "not-as-told"]
    assert ["'cobol'; found: go" in doubts[0], "'rails'" in doubts[1], len(doubts)] == [True, True, 2]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("../x", grpc.StatusCode.INVALID_ARGUMENT, "InvalidInput"),
        ("/etc", grpc.StatusCode.PERMISSION_DENIED, "Forbidden"),
        ("none", grpc.StatusCode.NOT_FOUND, "NotFound"),
        ("nothing", grpc.StatusCode.FAILED_PRECONDITION, "NothingToRun"),
    ],
)
async def test_a_refusal_has_our_code_and_what_to_do(
    channel: grpc.aio.Channel, path: str, status: grpc.StatusCode, code: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await ask(channel, path)
    info = said(refused.value)
    assert (refused.value.code(), info.reason, info.domain) == (status, code, "iarnet")
    assert refused.value.details()
    assert info.metadata["hint"]


def said(error: grpc.aio.AioRpcError) -> ErrorInfo:
    status, info = Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"]), ErrorInfo()
    assert status.details[0].Unpack(info)
    return info


@pytest.mark.parametrize("token", ["", "wrong", f"{TOKEN}x"])
async def test_nothing_but_health_answers_without_the_token(
    channel: grpc.aio.Channel, address: str, token: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await ask(channel, PROJECT, token)
    assert (refused.value.code(), said(refused.value).reason) == (grpc.StatusCode.UNAUTHENTICATED, "Unauthorized")
    with pytest.raises(grpc.RpcError) as closed:
        await asyncio.to_thread(described, address, token)
    assert closed.value.code() == grpc.StatusCode.UNAUTHENTICATED
    for service in ("", "CodeAnalysisService"):
        answer = await HealthStub(channel).Check(HealthCheckRequest(service=service), timeout=60)
        assert answer.status == answer.SERVING


async def test_a_client_that_knows_only_the_address_finds_out_the_rest(address: str) -> None:
    names, request = await asyncio.to_thread(described, address, TOKEN)
    assert {"CodeAnalysisService", "grpc.health.v1.Health"} <= names
    assert [field.name for field in request.DESCRIPTOR.fields] == ["project_path", "language", "framework"]


def described(address: str, token: str) -> tuple[set[str], Any]:
    with grpc.insecure_channel(address) as plain:
        database = ProtoReflectionDescriptorDatabase(grpc.intercept_channel(plain, Bearer(token)))
        names = set(database.get_services())
        service = DescriptorPool(database).FindServiceByName("CodeAnalysisService")
        return names, GetMessageClass(service.FindMethodByName("AnalyzeCode").input_type)


class Bearer(grpc.StreamStreamClientInterceptor):
    def __init__(self, token: str) -> None:
        self._metadata = [("authorization", f"Bearer {token}")]

    def intercept_stream_stream(self, continuation: Any, details: Any, requests: Any) -> Any:
        told = grpc.aio.ClientCallDetails(details.method, 60, self._metadata, details.credentials, False)
        return continuation(told, requests)


async def test_another_node_asks_it_over_tls(tmp_path: Path, projects: Projects) -> None:
    chain, key = (signer := Signer()).sign("localhost")
    for name, text in (("cert.pem", chain), ("key.pem", key), ("ca.pem", signer.pem), ("token", TOKEN)):
        (tmp_path / name).write_text(text)
    tls = GrpcTls(enabled=True, cert_file=tmp_path / "cert.pem", key_file=tmp_path / "key.pem")
    settings = Settings(data_dir=tmp_path, peer_listen_addr="127.0.0.1:0", grpc=Grpc(tls=tls))
    sources, git = GitSources(tmp_path / "objects", allow_file=True), GitSource(url=example(PROJECT, tmp_path).url)
    tree = (await sources.fetch("hello", git, await sources.resolve(git))).tree
    async with answered(settings, projects) as found:
        asking = ExternalAnalyser(
            address=found.replace("127.0.0.1", "localhost"),
            timeout_s=60,
            sources=sources,
            scratch=Scratch(settings.workspace_dir / "analyses"),
            instead=BuiltIn(sources, analyze),
            token_file=tmp_path / "token",
            tls=True,
            ca_file=tmp_path / "ca.pem",
        )
        assert is_final(await asking.analyze("hello", tree, ""))
        binary = {"token_file": tmp_path / "objects.bin"}
        (tmp_path / "objects.bin").write_bytes(b"\xff")
        none = {"token_file": tmp_path / "none"}
        for mistake in ({"tls": False}, {"ca_file": None}, {"token_file": None}, none, binary):
            assert not is_final(await replace(asking, **mistake).analyze("hello", tree, ""))
    (tmp_path / "key.pem").unlink()
    with pytest.raises(InvalidConfig, match="no certificate"):
        async with answering(settings, projects, TOKEN):
            pass


async def test_a_taken_port_is_answered_once_it_is_free(tmp_path: Path, projects: Projects) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, capture_logs() as logs:
        settings = Settings(data_dir=tmp_path, peer_listen_addr=f"127.0.0.1:{taken.getsockname()[1]}")
        async with answering(settings, projects, TOKEN):
            await asyncio.to_thread(
                until, lambda: any("peer_listen_addr" in str(each) for each in logs), "it says so"
            )
            taken.close()
            await asyncio.to_thread(until, lambda: _written(settings), "gRPC answers")


async def test_where_nothing_is_to_listen_nothing_does(tmp_path: Path, projects: Projects) -> None:
    async with answering(Settings(data_dir=tmp_path, peer_listen_addr="none"), projects, TOKEN):
        assert _written(Settings(data_dir=tmp_path)) == ""

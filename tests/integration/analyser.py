"""`analyser.py`: somebody else's analyser, which knows the documented contract alone. Prints the port that it takes.

It looks into the folder that it is shown, and says one component for each folder there with a Dockerfile. The token
of a call says how it misbehaves: `slow`, `silly` (an unknown word), `strange` (a component that nobody knows),
`empty`, `noise` (no message), `huge`.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import grpc

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
ENDED = Event()
documented: Any = grpc.protos("documented.proto")


def analyze(request: Any, context: Any) -> bytes:
    how = dict(context.invocation_metadata()).get("authorization", "").removeprefix("Bearer ")
    if how == "slow":
        ENDED.wait()
    if how == "noise":
        return b"\xff\xff"
    if how == "huge":
        return b"\0" * (17 << 20)
    found = [] if how == "empty" else [path.parent.name for path in Path(request.project_path).glob("*/Dockerfile")]
    components = [component(name, how) for name in sorted(found)]
    edges = [documented.DAGEdge(**{"from": "web", "to": "api", "type": "grpc"})]
    answer = documented.CodeAnalysisResponse(components=components, edges=edges if found else [])
    return bytes(answer.SerializeToString())


def component(name: str, how: str) -> Any:
    room = documented.ResourceRequirements(cpu=1.5, memory=64)
    kind = "magic" if how == "silly" else "api"
    id = f"other-{name}" if how == "strange" else name
    return documented.Component(id=id, name=name.title(), type=kind, language="cobol", requirements=room)


def main() -> None:
    server = grpc.server(ThreadPoolExecutor(4))
    method = grpc.unary_unary_rpc_method_handler(analyze, documented.CodeAnalysisRequest.FromString)
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("CodeAnalysisService", {"AnalyzeCode": method})]
    )
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    sys.stdin.read()  # until whoever started it has ended, or has heard enough
    ENDED.set()
    server.stop(grace=None)


main()

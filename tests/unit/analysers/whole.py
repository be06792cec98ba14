"""An analysis in which everything is said that can be."""

from iarnet.models.analysis import Analysis, Evidence, Warning
from iarnet.models.component import Build, Component, Ejection, EnvVar, HealthCheck, Limits, Port, Volume
from iarnet.models.container import Container, File, Ulimit
from iarnet.models.edge import Edge
from iarnet.models.resources import MIB, Resources

API = Component(
    name="order-api",
    kind="api",
    language="python",
    framework="fastapi",
    root="orders",
    build=Build(
        context="orders",
        dockerfile="orders/Dockerfile",
        recipe="FROM scratch",
        target="run",
        args={"A": "", "B": "2"},
        added=(("a", "/a"), ("b", "/b")),
    ),
    entrypoint=(),
    command=("serve", ""),
    start_command="serve",
    ports=(Port(port=80, publish="prefer", host_port=8080), Port(port=53, protocol="udp")),
    env=(
        EnvVar(name="EMPTY", value=""),
        EnvVar(name="KEY", value="x{secret}", secret="k"),
        EnvVar(name="C", required=True),
    ),
    health=HealthCheck(type="grpc", path="", service="", port=81, command=("a",), interval_s=0.5, retries=7),
    limits=Limits(connections=1, pending=2, requests=3, retries=4),
    ejection=Ejection(after=2, for_s=1.5, percent=7),
    resources=Resources(cpu_millis=0, memory_bytes=3 * MIB, storage_bytes=5 * MIB, gpu_millis=500),
    volumes=(Volume(name="data", path="/data", read_only=True, of="db"),),
    replicas=0,
    user="1000:1000",
    capabilities=("CHOWN",),
    working_dir="/app",
    aliases=("orders",),
    files=(File(name="a", path="/etc/a", value="", mode=0, uid=5, gid=6), File(name="b", path="/b", secret="s")),
    container=Container(
        network="none",
        hosts={"a": "10.0.0.1"},
        dns=("1.1.1.1",),
        init=False,
        stop_s=1.5,
        tmpfs={"/tmp": "size=1m"},
        shm_bytes=64 * MIB,
        pids=7,
        ulimits={"nofile": Ulimit(soft=-1, hard=5)},
        labels={"a": ""},
    ),
)
WHOLE = Analysis(
    tree="4b825dc",
    components=(API, Component(name="db", kind="database", image="postgres:16")),
    edges=(
        Edge.model_validate({"from": "order-api", "to": "db", "type": "database", "condition": "started", "env": ""}),
    ),
    evidence=(
        Evidence(fact="order-api", value="", file="", confidence=0),
        Evidence(fact="a", value="b", file="c", line=1),
    ),
    warnings=(Warning(code="a", message="b", file="", line=2, severity="info"), Warning(code="c", message="d")),
)

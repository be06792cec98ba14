import pytest

from iarnet.analysis.corrections import apply_corrections
from iarnet.errors import InvalidInput
from iarnet.models.analysis import Analysis
from iarnet.models.app import Settings
from iarnet.models.component import Build, Component, Ejection, EnvVar, HealthCheck, Limits, Port
from iarnet.models.container import File
from iarnet.models.resources import MIB

ANALYSIS = Analysis(
    tree="0" * 40,
    components=(
        Component(name="web", kind="web", build=Build(), env=(EnvVar(name="API_URL", value="http://api:8000"),)),
        Component(
            name="api",
            kind="api",
            build=Build(),
            ports=(Port(port=8000),),
            health=HealthCheck(port=8000),
            env=(EnvVar(name="PORT", value="8000"), EnvVar(name="TOKEN", required=True)),
        ),
        Component(name="db", kind="database", image="postgres:15"),
    ),
)


def corrected(component: str, **values: str) -> Component:
    settings = Settings(values={f"{component}.{key.replace('__', '.')}": value for key, value in values.items()})
    analysis = apply_corrections(ANALYSIS, settings)
    assert [e.detector for e in analysis.evidence] == ["user"] * len(values)
    return next(c for c in analysis.components if c.name == component)


@pytest.mark.parametrize(
    ("key", "value", "message", "hint"),
    [
        ("wbe.replicas", "2", "no component 'wbe'", "'web'"),
        ("web.replica", "2", "no 'replica'", "'replicas'"),
        ("web", "2", "no ''", "known"),
        ("web.replicas", "two", "no whole number", ""),
        ("web.replicas", "101", "less than or equal to 100", ""),
        ("api.port", "0", "greater than or equal to 1", ""),
        ("api.port", "70000", "less than or equal to 65535", ""),
        ("web.publish", "8080", "listens on no port", ""),
        ("api.memory", "lots", "amount of memory", "512Mi"),
        ("api.kind", "apo", "no kind", ""),
        ("api.env.1A", "x", "no name of a setting", "letters"),
        ("api.health.type", "ping", "http", ""),
        ("api.health.interval", "soon", "duration", "30s"),
        ("api.health.service", "a b", "match pattern", ""),
        ("api.limits.request", "1", "no 'limits.request'", "'limits.requests'"),
        ("api.limits.requests", "0", "greater than or equal to 1", ""),
        ("api.limits.requests", "few", "no whole number", ""),
        ("api.ejection.percent", "51", "less than or equal to 50", ""),
        ("api.ejection.for", "soon", "duration", "30s"),
        ("api.command", "a 'b", "unclosed quote", ""),
    ],
)
def test_what_can_not_be_is_refused_with_its_key(key: str, value: str, message: str, hint: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        apply_corrections(ANALYSIS, Settings(values={key: value}))
    assert message in refused.value.message
    assert refused.value.where == key
    assert hint in refused.value.hint


def test_what_is_in_a_file_is_a_stored_secret() -> None:
    key = File(name="key", path="/run/secrets/key")
    analysis = Analysis(tree="t", components=(Component(name="api", kind="api", image="a", files=(key,)),))
    changed = apply_corrections(analysis, Settings(secrets={"api.file.key": "shop/key"})).components[0]
    assert changed.files == (key.model_copy(update={"secret": "shop/key"}),)
    with pytest.raises(InvalidInput, match="has no file 'kex'") as unknown:
        apply_corrections(analysis, Settings(secrets={"api.file.kex": "shop/key"}))
    assert unknown.value.hint == "did you mean 'key'?"
    with pytest.raises(InvalidInput, match="--secret"):
        apply_corrections(analysis, Settings(values={"api.file.key": "in clear"}))


def test_only_settings_can_be_secret() -> None:
    with pytest.raises(InvalidInput, match="can't be a secret"):
        apply_corrections(ANALYSIS, Settings(secrets={"api.image": "x"}))


def test_fields_of_a_component() -> None:
    api = corrected("api", replicas="3", cpu="0.5", memory="512Mi", command="run --x", user="1000", kind="web")
    assert (api.replicas, api.resources.cpu_millis, api.resources.memory_bytes) == (3, 500, 512 * MIB)
    assert (api.command, api.start_command, api.user, api.kind) == (("run", "--x"), "run --x", "1000", "web")
    assert corrected("db", image="postgres:16").image == "postgres:16"
    assert corrected("api", image="x").build is None


def test_a_port_takes_everything_with_it() -> None:
    analysis = apply_corrections(ANALYSIS, Settings(values={"api.port": "9000"}))
    web, api, _ = analysis.components
    assert [port.port for port in api.ports] == [9000]
    assert api.health == HealthCheck(port=9000)
    assert api.env[0] == EnvVar(name="PORT", value="9000")
    assert web.env == (EnvVar(name="API_URL", value="http://api:9000"),)


@pytest.mark.parametrize(
    ("value", "publish", "host"), [("8080", "exact", 8080), ("true", "auto", None), ("false", "no", None)]
)
def test_publishing(value: str, publish: str, host: int | None) -> None:
    port = corrected("api", publish=value).port
    assert port is not None
    assert (port.publish, port.host_port) == (publish, host)


def test_settings_and_secrets() -> None:
    given = Settings(values={"api.env.DEBUG": "1"}, secrets={"api.env.TOKEN": "shop/api/token"})
    analysis = apply_corrections(ANALYSIS, given)
    assert analysis.components[1].env == (
        EnvVar(name="DEBUG", value="1"),
        EnvVar(name="PORT", value="8000"),
        EnvVar(name="TOKEN", value="{secret}", secret="shop/api/token"),
    )
    assert all(item.value != "1" for item in analysis.evidence)


def test_bounds_by_parts() -> None:
    api = corrected("api", limits__requests="9", limits__pending="2", ejection__for="1m", ejection__after="3")
    assert (api.limits, api.ejection) == (Limits(requests=9, pending=2), Ejection(after=3, for_s=60))
    assert corrected("api", limits__requests="none").limits == Limits()


def test_health_by_parts() -> None:
    by_grpc = corrected("api", health__service="shop.Api").health
    assert by_grpc == HealthCheck(type="grpc", service="shop.Api", port=8000)
    assert corrected("api", health__type="grpc").health == HealthCheck(type="grpc", port=8000)
    health = corrected("api", health__path="healthz", health__interval="2s", health__retries="9").health
    assert health == HealthCheck(type="http", path="/healthz", port=8000, interval_s=2, retries=9)
    by_command = corrected("web", health__command="curl -f x").health
    assert by_command is not None
    assert (by_command.type, by_command.command) == ("command", ("curl", "-f", "x"))

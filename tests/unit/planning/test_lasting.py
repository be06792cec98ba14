"""What a plan does and no plan takes back."""

from iarnet.models.component import Volume
from iarnet.models.instance import Instance, InstanceSpec
from iarnet.models.plan import Operation
from iarnet.planning.lasting import lasting, stranded


def deploy(component: str, kind: str = "web", *volumes: Volume) -> Operation:
    spec = InstanceSpec(
        name=f"iarnet-app-{component}-r2-0",
        app="app",
        component=component,
        kind=kind,
        owner="me",
        revision=2,
        replica=0,
        epoch=2,
        image="i",
        volumes=volumes,
    )
    return Operation(id=f"deploy.{component}.0", kind="deploy", component=component, instance=spec.name, spec=spec)


def remove(instance: Instance) -> Operation:
    return Operation(
        id=f"remove.{instance.name}",
        kind="remove",
        component=instance.component,
        instance=instance.name,
        provider_id=instance.provider_id,
    )


def running(component: str, provider_id: str = "p") -> Instance:
    name = f"iarnet-app-{component}-r1-0"
    return Instance(
        name=name, app="app", component=component, provider_id=provider_id, spec_hash="h", state="running"
    )


def test_jobs_and_what_is_written_last() -> None:
    data, shared = Volume(name="data", path="/d"), Volume(name="shared", path="/s", read_only=True)
    found = lasting((deploy("web"), deploy("migrate", "job"), deploy("db", "database", data, shared)), (), ())
    assert [(each.operation, each.component, each.what) for each in found] == [
        ("deploy.migrate.0", "migrate", "what the job migrate may have done"),
        ("deploy.db.0", "db", "what db may have written to its volume data"),
    ]


def test_what_no_revision_brings_back_lasts() -> None:
    web, leftover = running("web"), running("leftover")
    found = lasting((remove(web), remove(leftover)), (web, leftover), {"web"})
    assert [each.what for each in found] == [
        "the end of iarnet-app-leftover-r1-0: no revision to go back to has leftover"
    ]


def test_data_that_goes_is_gone() -> None:
    release = Operation(id="release.p", kind="release", provider_id="p", volumes=("db/data",))
    assert [each.what for each in lasting((release,), (), ())] == ["the loss of the data in db/data"]


def test_what_is_on_a_provider_that_cant_be_reached_stays_there() -> None:
    found = stranded((running("web"), running("api", "q")), {"q"})
    assert [each.what for each in found] == ["iarnet-app-api-r1-0 on q, until that can be reached again"]

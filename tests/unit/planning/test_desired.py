"""What a revision says of its instances."""

from datetime import UTC, datetime

import pytest

from iarnet.errors import MissingSetting
from iarnet.models.app import Revision
from iarnet.models.component import HARMLESS_CAPABILITIES, Component
from iarnet.models.container import Container, File
from iarnet.models.instance import InstanceSpec
from iarnet.planning.desired import check, instance_specs
from iarnet.providers.docker.spec import led

NOW = datetime(2030, 1, 1, tzinfo=UTC)
DB = Component(name="db", kind="database", image="a", aliases=("my_db", "172.20.0.2"))


def specs(*components: Component, served: dict[str, int] | None = None) -> dict[str, InstanceSpec]:
    images = {component.name: "a" for component in components}
    revision = Revision(
        app="shop", number=1, commit="c", tree="t", components=components, images=images, created_at=NOW
    )
    return {c.name: instance_specs(revision, c, {}, "me", 1, served)[0] for c in components}


def web(**more: object) -> Component:
    return Component.model_validate({"name": "web", "kind": "web", "image": "a", **more})


def test_every_name_of_a_neighbour_is_where_it_is_served() -> None:
    found = specs(web(), DB, served={"db": 2})
    assert found["web"].hosts == {"db": 2, "my_db": 2, "172.20.0.2": 2}
    assert found["db"].aliases == ("db", "my_db"), "an address is no name on the network"
    assert specs(web(), DB)["web"].hosts == {}


def test_a_fixed_address_becomes_the_one_that_it_has_here() -> None:
    hosts, addresses = {"db": 2, "172.20.0.2": 2}, {2: "10.210.8.3"}
    assert (
        led("a=172.20.0.2#53;172.20.0.22,172.20.0.2.", hosts, addresses) == "a=10.210.8.3#53;172.20.0.22,10.210.8.3."
    )


def test_capabilities_that_are_dropped() -> None:
    def of(**more: object) -> set[str]:
        return set(specs(web(**more))["web"].capabilities)

    assert of(container=Container(dropped=("CHOWN",))) == HARMLESS_CAPABILITIES - {"CHOWN"}
    assert of(container=Container(dropped=("ALL",))) == set()
    assert of(container=Container(dropped=("ALL",)), capabilities=("KILL",)) == {"KILL"}


def test_a_file_that_nobody_has_is_asked_for() -> None:
    file = File(name="key", path="/run/secrets/key")
    with pytest.raises(MissingSetting, match="/run/secrets/key") as missing:
        check(web(files=(file,)))
    assert "--secret web.file.key=NAME" in missing.value.hint
    check(web(files=(file.model_copy(update={"secret": "shop/key"}),)))
    check(web(files=(file.model_copy(update={"value": ""}),)))

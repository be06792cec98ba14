"""What an older change has left behind, and comes when a newer one has begun."""

from pathlib import Path
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from activities.deploying import Deploying
from iarnet.errors import StaleEpoch
from iarnet.models.component import HealthCheck
from iarnet.models.plan import Operation
from iarnet.models.traffic import AppNetwork, ServedPort
from iarnet.models.work import Effect
from iarnet.providers.memory import MemoryProvider
from iarnet.store.open import open_store
from tests.contract.leading import Led, One, untold
from tests.contract.store.values import GIT, NAME, Watch, begin, lease, spec

NETWORK = AppNetwork(address="10.210.8.1", subnet="10.210.8.0/26")


def effect(epoch: int, kind: str, **values: Any) -> Effect:
    operation = Operation.model_validate({"id": kind, "kind": kind, "provider_id": "box"} | values)
    return Effect(app="shop", deployment_id=f"shop.{epoch}", epoch=epoch, operation=operation)


async def test_users_stay_with_what_a_newer_change_has_deployed(tmp_path: Path) -> None:
    """The gateway comes before the provider, and only the provider knows epochs."""
    store = await open_store(f"sqlite:///{tmp_path}/iarnet.db", Watch())
    gateway, provider = Led(), MemoryProvider("box", network=NETWORK)
    does, run = Deploying(store, One(provider), One(None), One(gateway), untold), ActivityEnvironment().run
    await store.facts.begin(begin(git=GIT))
    newer = (await store.facts.begin(begin())).epoch
    await store.ledger.reserve([lease(NAME)], {"box": lease(NAME).resources})
    wanted = spec(epoch=newer, health=HealthCheck(type="tcp"))
    await run(does.serve_app, effect(newer, "serve", serves=(ServedPort(component="web", port=80),)))
    await run(does.deploy_instance, effect(newer, "deploy", spec=wanted))
    late = (
        (does.serve_app, effect(newer - 1, "serve")),
        (does.remove_instance, effect(newer - 1, "remove", instance=NAME)),
        (does.release_provider, effect(newer - 1, "release")),
    )
    for activity, old in late:
        with pytest.raises(StaleEpoch, match=r"epoch 2.* from epoch 1"):
            await run(activity, old)
    assert gateway.to == {NAME}
    assert [service.port for service in gateway.services] == [80]
    await store.aclose()

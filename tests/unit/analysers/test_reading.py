"""What somebody else says of a repository is taken as far as it can be true."""

from typing import Any

import pytest

from iarnet.analysers import reading
from iarnet.errors import InvalidInput

WEB = {"id": "web", "name": "Web", "type": "web", "image": "nginx"}
DB = {"id": "db", "type": "database", "image": "postgres", "requirements": {"cpu": 0.5, "memory": "64"}}


def said(*components: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"components": list(components), **more}


def test_the_documented_fields_are_enough_where_an_image_is_named() -> None:
    found = reading.analysis(said(WEB, DB, dag={"edges": [{"from": "web", "to": "db", "type": "tcp"}]}))
    assert [(each.name, each.resources.cpu_millis) for each in found.components] == [("web", 250), ("db", 500)]
    assert [(edge.from_, edge.to, edge.condition) for edge in found.edges] == [("web", "db", "healthy")]


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (said({**WEB, "id": "Web!"}), "components.0.name"),
        (said({"id": "web"}), "components.0: 'type'"),
        ({"components": ["web"]}, "components.0"),
        (said({**WEB, "type": "magic"}), "components.0.kind"),
        (said({**WEB, "image": None}), "web needs an image or a build"),
        (said({**WEB, "build": {}}), "needs an image or a build"),
        (said({**WEB, "surprise": 1}), "components.0.surprise"),
        (said({**WEB, "requirements": {"cpu": "NaN"}}), "components.0"),
        (said({**WEB, "requirements": {"cpu": "Infinity"}}), "components.0"),
        (said({**WEB, "requirements": {"memory": -1}}), "memory_bytes"),
        (said({**WEB, "ports": [{"port": 70000}]}), "components.0.ports.0.port"),
        (said(WEB, WEB), "the component web is there twice"),
        (said(WEB, dag={"edges": [{"from": "web", "to": "nobody", "type": "tcp"}]}), "an edge names nobody"),
        (said(WEB, dag={"edges": [{"from": "web", "to": "web", "type": "love"}]}), "edges.0.type"),
        (said(WEB, evidence=[{"fact": 1}]), "evidence.0"),
        (said(*[{**WEB, "id": f"w{n}"} for n in range(201)]), "201 components and 0 edges; at most 200"),
    ],
)
def test_what_can_t_be_true_is_refused_with_its_place(document: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        reading.credible(reading.analysis(document))
    assert why in refused.value.message


def test_what_only_a_user_can_grant_is_withheld() -> None:
    found = reading.credible(reading.analysis(said({**WEB, "capabilities": ["CHOWN", "SYS_ADMIN"]}, DB)))
    assert [each.capabilities for each in found.components] == [("CHOWN",), ()]
    assert [(each.code, "SYS_ADMIN" in each.message) for each in found.warnings] == [("capability-withheld", True)]

"""What a change may leave behind: only what `status` shows."""

import sqlite3
from typing import Any

from tests.e2e.engine import left
from tests.e2e.harness import NodeProcess


def unaccounted(node: NodeProcess, app: str) -> list[str]:
    """Everything on the engine and in the ledger that belongs to the app and that `iarnet status` does not show.

    An image is not of a run but of a commit; a network is there, and the app keeps its ports, as long as something of
    it runs.
    """
    shown = node.api("GET", f"/api/v1/apps/{app}")
    components = shown.json().get("components", ()) if shown.is_success else ()
    instances = {i["name"] for c in components for i in c["instances"]}
    objects = [name for name in left(node.docker_url, app) if ":" not in name and name not in instances]
    network = f"iarnet-{app}"
    return [
        *(name for name in objects if not (instances and name.partition(".")[0] == network)),
        *(f"lease {name}" for name in column(node, "leases", "instance", app) if name not in instances),
        *(f"port {port}" for port in column(node, "ports", "port", app) if not instances),
    ]


def column(node: NodeProcess, table: str, name: str, app: str) -> list[Any]:
    """What the store has of an app in one column of a table."""
    with sqlite3.connect(f"file:{node.data / 'iarnet.db'}?mode=ro", uri=True) as store:
        return [value for (value,) in store.execute(f"SELECT {name} FROM {table} WHERE app = ?", (app,))]

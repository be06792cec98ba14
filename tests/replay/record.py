"""`python -m tests.replay.record`: record all histories anew, from real runs on a node and a Docker engine.

Needed when a workflow takes other decisions than before. Where runs of the old kind may still be under way, the old
history stays, under another name, and the workflow uses `workflow.patched`.
"""

import asyncio
import json
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
from temporalio.client import Client, WorkflowFailureError

from activities.options import QUEUE
from tests.contract.docker_engine import engine_url
from tests.e2e.harness import NodeProcess, node, until
from tests.e2e.repository import Repository, repository
from tests.replay.histories import save
from workers.converter import CONVERTER

GOOD = "httpd -f -p 8080 -h /etc"
BROKEN = "sh -c 'echo the ledger is torn; exit 1'"
SILENT = "sleep 3600"
PORTS = {"IARNET_GATEWAY__HTTP_PORT": "18080", "IARNET_GATEWAY__HTTPS_PORT": "18443"}
APP = """
components:
  data: {{kind: cache, image: busybox:stable, command: httpd -f -p 6000 -h /etc, ports: [6000/tcp]}}
  web:
    kind: web
    image: busybox:stable
    command: {command}
    ports: [8080]
    publish: true
    health: {{path: /hostname, start_period: 60s}}
    secrets: {{TOKEN: web/token}}
    needs: [data]
"""


@dataclass(frozen=True)
class Recorder:
    """`neutral`: what is of this machine -> what stands for it in a history."""

    running: NodeProcess
    client: Client
    source: Repository
    neutral: dict[str, str]

    async def run(self, name: str, kind: str, workflow_id: str, value: Any, cancel_at: str = "") -> None:
        """A run to its end, whatever that is; cancelled when the component `cancel_at` starts."""
        handle = await self.client.start_workflow(kind, value, id=workflow_id, task_queue=QUEUE)
        if cancel_at:
            await asyncio.to_thread(until, lambda: self._starts(workflow_id, cancel_at), f"{cancel_at} starts")
            await handle.cancel()
        try:
            await handle.result()
            print(f"{name}: well")
        except WorkflowFailureError as error:
            print(f"{name}: {error.cause}")
        await self.keep(name, workflow_id, handle.result_run_id)

    async def keep(self, name: str, workflow_id: str, run_id: str | None = None) -> None:
        handle = self.client.get_workflow_handle(workflow_id, run_id=run_id)
        save(name, await handle.fetch_history(), self.neutral)

    def commit(self, command: str) -> None:
        self.source.write("iarnet.yaml", APP.format(command=command)).commit()

    def die(self, app: str, component: str) -> None:
        """Its container is killed; returns once the watch has brought it back."""
        (container,) = self.running.containers(app)[component]
        engine = docker.APIClient(base_url=self.running.docker_url, version="auto")
        engine.kill(container)
        until(lambda: self._events(app, "instance.restarted"), f"{component} is back")
        engine.close()

    async def certify(self, app: str, host: str) -> None:
        """A domain is refused a certificate, gets one of our own, and goes; returns once its watch has ended."""
        domains = "/api/v1/communication/domains"
        domain = {"app": app, "component": "web"}
        self.running.api("POST", domains, domain | {"host": host, "certificate": "acme"}).raise_for_status()
        await asyncio.to_thread(until, lambda: self._events(app, "certificate.failed"), f"{host} is refused")
        self.running.api("PUT", f"{domains}/{host}", domain | {"certificate": "own"}).raise_for_status()
        await asyncio.to_thread(until, lambda: self._events(app, "certificate.issued"), f"{host} has one")
        self.running.api("DELETE", f"{domains}/{host}").raise_for_status()
        await self.client.get_workflow_handle(f"certificate.{host}").result()

    def _events(self, app: str, kind: str) -> list[Any]:
        found = self.running.api("GET", f"/api/v1/apps/{app}/events").json()["events"]
        return [event for event in found if event["kind"] == kind]

    def _starts(self, workflow_id: str, component: str) -> bool:
        done = self.running.temporal(
            "workflow", "query", "--workflow-id", workflow_id, "--type", "progress", "-o", "json"
        )
        rows = done.json["queryResult"][0]["components"] or () if done.code == 0 else ()
        return any((row["component"], row["phase"]) == (component, "starting") for row in rows)


async def record(recorder: Recorder) -> None:
    run, keep = recorder.run, recorder.keep
    app: dict[str, Any] = {"app": "orchard"}
    git = {"git": {"url": recorder.source.url}}
    await run("ImportApp-good", "ImportApp", "import.orchard.main", app | git)
    await run(
        "ImportApp-failed", "ImportApp", "import.gone.1", {"app": "gone", "git": {"url": "file:///srv/example/gone"}}
    )
    await run("AnalyzeApp-failed", "AnalyzeApp", "analyze.orchard.0", app | {"commit": "0" * 40})
    await run("AnalyzeApp-good", "AnalyzeApp", "analyze.orchard.1", app)
    await run("PlanChange-good", "PlanChange", "plan.orchard.1", app)
    await run("PlanChange-failed", "PlanChange", "plan.orchard.2", app | {"revision": 9})
    await run("SelectProviders-failed", "SelectProviders", "select.orchard.1", app)

    recorder.commit(SILENT)
    await run("DeployApp-cancelled", "DeployApp", "change.orchard", app, cancel_at="web")
    recorder.commit(BROKEN)
    await run("DeployApp-held", "DeployApp", "change.orchard", app)
    recorder.commit(GOOD)
    await run("DeployApp-good", "DeployApp", "change.orchard", app | {"cause": "retry"})
    await run("SelectProviders-good", "SelectProviders", "select.orchard.2", app | {"reserve": True, "n": 2})
    await asyncio.to_thread(recorder.die, "orchard", "data")
    recorder.running.temporal(
        *("workflow", "update", "execute", "--name", "restart", "--workflow-id", "watch.orchard"),
        *("--input", json.dumps({"component": "web"})),
    )
    await recorder.certify("orchard", "orchard.localhost")
    await keep("CertificateWatch-good", "certificate.orchard.localhost")
    await run("CertificateWatch-failed", "CertificateWatch", "certificate.other", {"host": "orchard.localhost"})
    recorder.commit(BROKEN)
    await run("DeployApp-rolled-back", "DeployApp", "change.orchard", app)
    await run("DeployApp-wrong-id", "DeployApp", "deploy.orchard", app)
    await run("DeployApp-wrong-input", "DeployApp", "change.orchard", {"name": "orchard"})
    await run("StopApp-good", "StopApp", "change.orchard", app)
    await run("StopApp-failed", "StopApp", "change.nobody", {"app": "nobody"})
    await run("DeleteApp-failed", "DeleteApp", "change.nobody", {"app": "nobody"})
    await run("DeleteApp-good", "DeleteApp", "change.orchard", app | {"keep_data": False})
    await keep("HealthWatch-good", "watch.orchard")
    await run("HealthWatch-failed", "HealthWatch", "watch.other", app)
    await keep("ProviderWatch-good", "provider.local-docker")
    nowhere = {"provider_id": "nowhere", "home": recorder.running.name}
    await run("ProviderWatch-failed", "ProviderWatch", "provider.nowhere", nowhere)
    await reconcile(recorder)


async def reconcile(recorder: Recorder) -> None:
    await recorder.run("Reconcile-good", "Reconcile", "reconcile.local-docker.1", {"provider_id": "local-docker"})
    await recorder.run("Reconcile-failed", "Reconcile", "reconcile.nowhere", {"provider_id": "nowhere"})


async def main() -> None:
    # Nothing is there: what an authority says that does not answer is the same everywhere.
    acme = {"IARNET_GATEWAY__ACME__DIRECTORY": "https://localhost:1/directory", **PORTS}
    with tempfile.TemporaryDirectory() as folder, node(Path(folder) / "node", engine_url(), **acme) as running:
        client = await Client.connect(
            running.temporal_address, namespace="iarnet", identity="recorder", data_converter=CONVERTER
        )
        source = repository(Path(folder) / "orchard", iarnet_DOT_yaml=APP.format(command=GOOD))
        neutral = {
            folder: "/srv/example",
            running.docker_url: "unix:///var/run/docker.sock",
            socket.gethostname(): "example",
            running.name: "example",
        }
        await record(Recorder(running, client, source, neutral))


if __name__ == "__main__":
    asyncio.run(main())

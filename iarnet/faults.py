"""Points between an effect and its record, at which a test has the process die.

They are off, and cost nothing, unless a node is started with `IARNET_FAULTS`: a folder, in which a file that is
called like a point arms it. The process that gets there first removes the file and kills itself, as SIGKILL from
outside would at that very moment; the one that is started next goes past. Workflows have none: they have no effects.
"""

import os
import signal
from pathlib import Path
from types import MappingProxyType

POINTS = MappingProxyType(
    {
        # A node starts what it needs.
        "temporal.started": "the embedded Temporal runs, and is not recorded",
        "envoy.started": "Envoy runs, and is not recorded",
        # A request is taken.
        "app.created": "an app has its row, and its import is not started",
        "run.started": "a run is started, and its client does not know",
        "deployment.begun": "a deployment is recorded, and the app's story does not say so",
        "provider.registered": "a provider is registered, and nobody watches it",
        # The code comes.
        "source.fetched": "a commit is here, and not recorded",
        "import_source.done": "a commit is recorded, and its run does not know",
        "analyze_source.done": "an analysis is recorded, and its run does not know",
        # A plan is made.
        "revision.saved": "a revision is recorded, and its secrets are not made",
        "secret.made": "a secret is made, and its plan is not",
        "port.claimed": "a host port is claimed, and no plan says so",
        "room.reserved": "room is reserved, and no plan says so",
        "prepare_change.done": "a plan is recorded, and its run does not know",
        "ensure_watch.done": "an app is watched, and its change does not know",
        # Something comes.
        "image.built": "an image is built, and its output is not kept",
        "build_image.done": "an image is built and its output kept, and its run does not know",
        "network.made": "an app has its network, and nothing is recorded of what it is for",
        "serve_app.done": "the gateway listens, and the run does not know",
        "instance.intended": "an instance has its row and its room, and its provider does not know",
        "volume.made": "a volume is there, and no container that uses it",
        "container.created": "a container is there, and not started",
        "container.started": "a container runs, and nobody knows",
        "instance.recorded": "a container is recorded, and nobody waits until it is ready",
        "instance.ready": "an instance is ready, and nobody is led to it",
        "deploy_instance.done": "users are led to an instance, and its run does not know",
        # Something goes.
        "instance.drained": "nobody is led to an instance any more, and it runs",
        "container.stopped": "a container is stopped, and still there",
        "container.removed": "a container is gone, and its row is not",
        "remove_instance.done": "an instance is gone without a trace, and its run does not know",
        "services.closed": "the gateway has stopped to listen, and the network is there",
        "network.removed": "an app has no network any more, and still its volumes",
        "volume.removed": "a volume is gone, and its provider is not done",
        "release_provider.done": "nothing is left on a provider, and the run does not know",
        "sources.forgotten": "an app's code is gone, and its images are not",
        "images.forgotten": "an app's images are gone, and its secrets are not",
        "forget_source.done": "all that was made for an app is gone, and the run does not know",
        # A change ends.
        "deployment.finished": "a deployment has its end, and its app is as before",
        "revision.running": "an app has its new revision, and what was reserved beyond it is not given back",
        "app.deleted": "an app has no row any more, and its run does not know",
        "finish_change.done": "all of a change is recorded, and its run does not know",
        # Something is mended.
        "instance.suspended": "nobody is led to an instance that has died, and it is not restarted",
        "instance.restarted": "an instance is restarted, and nobody waits until it is ready",
        "mend_instance.done": "users are led to an instance again, and its watch does not know",
        "start_change.done": "a change that heals is started, and the watch does not know",
        # A name gets its certificate.
        "key.stored": "a certificate's key is stored, and the certificate is not",
        "certificate.recorded": "a certificate is recorded, and the gateway does not show it",
    }
)
"""Each with what is done there, and what is not."""

# State of the module: a point is in the middle of everything, and its name is all that whoever passes it should give.
_folder: Path | None = None


def arm(folder: str) -> None:
    """From now on this process looks there. Empty: it does not."""
    global _folder
    _folder = Path(folder) if folder else None


def reached(point: str) -> None:
    """Die here, if somebody wants it."""
    if _folder is not None and point in POINTS:
        _die_if_wanted(_folder / point)


def _die_if_wanted(file: Path) -> None:
    try:
        file.unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)

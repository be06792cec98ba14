"""`make up` and `make down`: a node in the background, with an application on it.

The node's data is under `.iarnet/` of the checkout, so that what `make up` started can be told from everything else.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import psutil

CHECKOUT = Path(__file__).resolve().parent.parent
HOME = CHECKOUT / ".iarnet"
DATA = HOME / "data"
LOG = HOME / "node.log"
SHOP = HOME / "repositories" / "shop"
PROGRAM = Path(sys.executable).parent / "iarnet"
CLIENT = ".venv/bin/iarnet --data-dir .iarnet/data"
_START_S = 90.0
_STOP_S = 30.0


def main(argv: list[str]) -> int:
    """The exit status."""
    match argv:
        case ["up", *repository]:
            return up(repository[0] if repository else "")
        case ["down"]:
            return down()
    print("usage: python -m workers.quickstart up [GIT_URL] | down", file=sys.stderr)
    return 2


def up(repository: str) -> int:
    """Start the node unless it runs, deploy, and print where everything is. Exit status of the deployment."""
    began = time.monotonic()
    if _node() is None and not _start():
        return 1
    print(f"The node answers after {time.monotonic() - began:.1f} s.", flush=True)
    if repository:
        status = _iarnet("deploy", repository)
    else:
        status = _iarnet("deploy", _shop_repository().as_uri(), "--name", "shop")
    _print_addresses(time.monotonic() - began)
    return status


def down() -> int:
    """Stop what `make up` deployed and end its node; data in volumes stays."""
    process = _node()
    if process is None:
        print("Nothing of `make up` runs.")
        return 0
    for app in _get("apps")["apps"]:
        if app["status"] not in ("stopped", "idle"):
            _iarnet("stop", app["name"])
    process.send_signal(signal.SIGTERM)
    _, alive = psutil.wait_procs([process], _STOP_S)
    print(f"The node still ends; see {LOG}." if alive else "Stopped. `make up` starts it again, with its data.")
    return len(alive)


def _start() -> bool:
    """In a session of its own: it outlives the terminal."""
    HOME.mkdir(exist_ok=True)
    (DATA / "address").unlink(missing_ok=True)
    with LOG.open("ab") as log:
        process = subprocess.Popen(
            [PROGRAM, "up"],
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        if _answers():
            return True
        time.sleep(0.1)
    print(f"The node did not come up. The end of {LOG}:", file=sys.stderr)
    print("\n".join(LOG.read_text(errors="replace").splitlines()[-15:]), file=sys.stderr)
    return False


def _answers() -> bool:
    try:
        return httpx.get(f"{_read('address')}/api/health", timeout=2).is_success
    except (httpx.HTTPError, httpx.InvalidURL, FileNotFoundError):
        return False


def _node() -> psutil.Process | None:
    """The process that holds the data directory, if it is one of ours."""
    try:
        process = psutil.Process(int(_read("node.lock")))
        ours = str(PROGRAM) in process.cmdline() or process.cmdline()[-1:] == ["up"]
    except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
        return None
    return process if ours and process.status() != psutil.STATUS_ZOMBIE else None


def _shop_repository() -> Path:
    """`examples/shop` as a Git repository, with a commit for what has changed since the last time."""
    shutil.rmtree(SHOP, ignore_errors=True) if not (SHOP / ".git").exists() else _clear(SHOP)
    shutil.copytree(CHECKOUT / "examples" / "shop", SHOP, dirs_exist_ok=True)
    if not (SHOP / ".git").exists():
        _git("init", "-q", "-b", "main")
    _git("add", "-A")
    if _git("status", "--porcelain"):
        _git("-c", "user.name=make up", "-c", "user.email=make@localhost", "commit", "-q", "-m", "The shop as it is")
    return SHOP


def _clear(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.name != ".git":
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=SHOP, check=True, capture_output=True, text=True).stdout


def _print_addresses(seconds: float) -> None:
    node = _get("node")
    for app in _get("apps")["apps"]:
        for component, address in app["addresses"].items():
            print(f"  {app['name']}/{component}:".ljust(24) + address)
        if node["temporal_ui"] and (run := app["deployment"]):
            print(f"  {app['name']}, last run:".ljust(24) + _run_page(node, run))
    print(f"  {'API and docs:'.ljust(22)}{_read('address')}/docs?token={_read('token')}")
    print(f"  {'Temporal web UI:'.ljust(22)}{node['temporal_ui']}")
    print(f"  {'Command line:'.ljust(22)}{CLIENT} --help")
    print(f"This took {seconds:.0f} s from the start of the node. `make down` ends it.", flush=True)


def _run_page(node: dict[str, Any], run: dict[str, Any]) -> str:
    """Where the Temporal web UI draws it."""
    workflows = f"{node['temporal_ui']}/namespaces/{node['namespace']}/workflows"
    return f"{workflows}/{run['workflow_id']}/{run['run_id']}/timeline"


def _get(path: str) -> Any:
    answer = httpx.get(
        f"{_read('address')}/api/v1/{path}", headers={"Authorization": f"Bearer {_read('token')}"}, timeout=30
    )
    answer.raise_for_status()
    return answer.json()


def _iarnet(*words: str) -> int:
    return subprocess.run([PROGRAM, *words], env=_environment(), check=False).returncode


def _environment() -> dict[str, str]:
    """The shop is a repository on this disk, which only this node is allowed to read."""
    ours = {"IARNET_DATA_DIR": str(DATA), "IARNET_GIT__ALLOW_FILE": "true"}
    return {**os.environ, **ours}


def _read(name: str) -> str:
    return (DATA / name).read_text().strip()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

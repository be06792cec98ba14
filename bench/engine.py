"""The Docker engine of the rows that need one."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def engine_url() -> str:
    """That of `DOCKER_HOST`, else the one of `make machine`."""
    if given := os.environ.get("DOCKER_HOST", ""):
        return given
    machine = (sys.executable, str(ROOT / "setup" / "machine.py"), "host")
    return subprocess.run(machine, capture_output=True, text=True, check=True).stdout.strip()

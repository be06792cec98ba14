"""The virtual environment `.venv`: what `requirements.lock` names, checked by hash, and this project, editable."""

import hashlib
import shutil
import sys
from pathlib import Path

from places import Stopwatch, cache_directory, exclusively, run_logged, say

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
INSTALL_SECONDS = 1200
# `xds-protos` has old copies of what these have, and which of them comes last is chance.
BURIED = ("googleapis-common-protos", "opentelemetry-proto")


def main() -> None:
    """Create or refresh it; at once when nothing that it depends on has changed."""
    stamp, wanted = VENV / ".stamp", _fingerprint()
    if (VENV / "bin" / "python").exists() and stamp.exists() and stamp.read_text() == wanted:
        return
    watch = Stopwatch()
    uv = _uv()
    python = ("--python", str(VENV / "bin" / "python"))
    locked = ("--compile-bytecode", "--require-hashes")
    again = [word for name in BURIED for word in ("--reinstall-package", name)]
    with exclusively("environment"):
        for arguments in (
            ("venv", "--allow-existing", "--python", sys.executable, str(VENV)),
            ("pip", "sync", *python, *locked, str(ROOT / "requirements.lock")),
            ("pip", "install", *python, *locked, *again, "--no-deps", "-r", str(ROOT / "requirements.lock")),
            ("pip", "install", *python, "--no-deps", "--editable", str(ROOT)),
        ):
            run_logged("venv", [uv, *arguments], timeout=INSTALL_SECONDS)
        stamp.write_text(wanted)
    say(f"venv    {VENV.name} ({watch})")


def _fingerprint() -> str:
    digest = hashlib.sha256(sys.version.encode())
    for name in ("pyproject.toml", "requirements.lock"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def _uv() -> str:
    """The machine's uv, else one in an environment of its own in the cache: five times as fast as pip."""
    if found := shutil.which("uv"):
        return found
    home = cache_directory() / "uv"
    with exclusively("uv"):
        if not (home / "bin" / "uv").exists():
            run_logged("venv", [sys.executable, "-m", "venv", "--clear", str(home)], timeout=INSTALL_SECONDS)
            run_logged("venv", [str(home / "bin" / "pip"), "install", "uv"], timeout=INSTALL_SECONDS)
    return str(home / "bin" / "uv")


if __name__ == "__main__":
    main()

"""`verify.py check | test [pytest arguments]`: every linter, or all of it; exits non-zero when anything failed."""

import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from places import Stopwatch, cache_directory, say

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = ROOT / ".venv" / "bin"
MACHINE = (sys.executable, str(ROOT / "setup" / "machine.py"))
CHECKS = (
    # The longest first. What it has found is kept outside of the repository: a new clone of it is checked as quickly.
    ("mypy", "--strict", f"--cache-dir={cache_directory() / 'mypy'}"),
    ("ruff", "check"),
    ("ruff", "format", "--check"),
    ("lint-imports", "--no-logo"),
    ("deptry", "--no-ansi", "."),
)


def main() -> int:
    command, arguments = sys.argv[1], sys.argv[2:]
    if command == "check":
        return bool(check())
    # The images take longest on a fresh machine: they start first, and what needs no engine runs meanwhile.
    with subprocess.Popen([*MACHINE, "all", "--all"]) as machine:
        prepare = subprocess.run([sys.executable, ROOT / "setup" / "environment.py"], check=False)
        if prepare.returncode:
            machine.wait()
            return prepare.returncode
        failed = check()
        if machine.wait() and not _accept_bare_machine():
            failed.append("machine")
    status = _test(arguments)
    if failed:
        say(f"failed before the tests: {', '.join(failed)}")
    return status or bool(failed)


def check() -> list[str]:
    """Run all linters, two at a time, show what the failing ones said, and return their names."""
    watch = Stopwatch()
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(_run_check, CHECKS))
    failed = [" ".join(argv) for argv, done in zip(CHECKS, results, strict=True) if done.returncode]
    for argv, done in zip(CHECKS, results, strict=True):
        if done.returncode:
            say(f"--- {' '.join(argv)}\n{done.stdout.rstrip()}")
    say(f"check   {len(CHECKS) - len(failed)} of {len(CHECKS)} passed ({watch})")
    return failed


def _run_check(argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "NO_COLOR": "1"}
    return subprocess.run(
        [PROGRAMS / argv[0], *argv[1:]],
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )


def _accept_bare_machine() -> bool:
    """A developer without Docker runs the other tests; a CI machine must have everything."""
    say("machine no Docker engine: the tests that need one are skipped")
    return os.environ.get("CI") != "true"


def _test(arguments: Sequence[str]) -> int:
    # Bytecode is kept: without it, each node that a test starts compiles every module again.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    host = subprocess.run([*MACHINE, "host"], capture_output=True, text=True, check=False)
    if host.returncode == 0:
        environment["DOCKER_HOST"] = host.stdout.strip()
    plain = ["--color=no"] if os.environ.get("CI") == "true" else []
    # A file's tests share a node, so a file stays together. Most of them wait more than they
    # compute; the longest come first, which is in the order of their folders.
    spread = [] if arguments else ["-n", "4", "--dist", "loadfile", "--no-loadscope-reorder"]
    argv = [str(PROGRAMS / "python"), "-m", "pytest", "-q", "-ra", "--durations=15", *spread, *plain, *arguments]
    return subprocess.run(argv, cwd=ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())

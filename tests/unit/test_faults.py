"""Fault points: they do nothing unless they are armed, and the list of them is the truth."""

import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from iarnet import faults

ROOT = Path(faults.__file__).parents[1]
PACKAGES = ("iarnet", "activities", "api", "workers", "workflows")
REACHED = re.compile(r'faults\.reached\("([^"]+)"\)')
DONE = re.compile(r"@activity\.defn\s+async def (\w+)")


def test_every_point_of_the_list_is_in_the_code_once_and_no_other() -> None:
    texts = [file.read_text() for package in PACKAGES for file in (ROOT / package).rglob("*.py")]
    reached = Counter(name for text in texts for name in REACHED.findall(text))
    activities = {f"{name}.done" for text in texts for name in DONE.findall(text)}
    assert {name for name, count in reached.items() if count > 1} == set()
    assert set(reached) | (set(faults.POINTS) & activities) == set(faults.POINTS)


def test_workflows_have_none() -> None:
    assert [file for file in (ROOT / "workflows").rglob("*.py") if "faults" in file.read_text()] == []


def test_a_point_kills_once_and_only_where_it_is_armed(tmp_path: Path) -> None:
    (tmp_path / "app.created").touch()
    assert _passing(tmp_path, "app.deleted") == 0
    assert _passing(tmp_path, "app.created") == -signal.SIGKILL
    assert list(tmp_path.iterdir()) == []
    assert _passing(tmp_path, "app.created") == 0


def test_without_a_folder_nothing_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app.created").touch()
    faults.reached("app.created")
    assert (tmp_path / "app.created").exists()


def _passing(folder: Path, point: str) -> int:
    program = f"from iarnet import faults; faults.arm({str(folder)!r}); faults.reached({point!r})"
    return subprocess.run([sys.executable, "-c", program], check=False).returncode

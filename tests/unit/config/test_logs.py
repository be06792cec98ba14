import gzip
import json
import logging
import sys
from pathlib import Path

import pytest
import structlog

from iarnet import logs
from iarnet.config_sections import Logging, Rotation


@pytest.fixture(autouse=True)
def _back_to_what_it_was():
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    for handler in [h for h in root.handlers if h not in handlers]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)
    structlog.reset_defaults()


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_one_json_object_a_line_from_structlog_and_from_libraries(tmp_path):
    file = tmp_path / "logs" / "node.log"
    logs.configure(Logging(output=str(file)))
    structlog.get_logger("iarnet.test").info("deployed", app="shop", took_s=1.5)
    logging.getLogger("uvicorn.error").warning("port %d is busy", 8083)
    ours, theirs = lines(file)
    assert (ours["event"], ours["level"], ours["app"], ours["took_s"]) == ("deployed", "info", "shop", 1.5)
    assert ours["time"].endswith("Z")
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("port 8083 is busy", "warning", "uvicorn.error")


def test_no_token_and_no_secret_is_written_not_even_in_a_traceback(tmp_path):
    file = tmp_path / "node.log"
    logs.configure(Logging(output=str(file)), redact=lambda text: text.replace("hunter2", "***"))
    logging.getLogger("uvicorn.access").info('"GET /ui?token=%s HTTP/1.1" 200', "abcdef")
    try:
        raise ValueError("bad password hunter2")
    except ValueError:
        structlog.get_logger().exception("failed", data={"nested": ["hunter2"]}, thing=Path("/hunter2"))
    text = file.read_text()
    assert "abcdef" not in text
    assert "hunter2" not in text
    (failed,) = (line for line in lines(file) if line["event"] == "failed")
    assert "Traceback" in failed["exception"]


def test_a_broken_log_call_is_reported_and_does_not_end_the_log(tmp_path, capsys):
    handler = logs.RotatingFile(tmp_path / "node.log", Rotation())
    handler.emit(logging.LogRecord("test", logging.INFO, __file__, 1, "%d", ("not a number",), None))
    handler.emit(record("lone surrogate \udcff"))
    handler.close()
    assert "Logging error" in capsys.readouterr().err
    assert (tmp_path / "node.log").read_text() == "lone surrogate \\udcff\n"


def test_below_the_level_nothing_is_written_and_configure_again_replaces(tmp_path):
    first, second = tmp_path / "a.log", tmp_path / "b.log"
    logs.configure(Logging(output=str(first), level="warning"))
    structlog.get_logger().info("quiet")
    logs.configure(Logging(output=str(second)))
    structlog.get_logger().info("loud")
    assert first.read_text() == ""
    assert [line["event"] for line in lines(second)] == ["loud"]


def test_text_for_people(tmp_path):
    file = tmp_path / "node.log"
    logs.configure(Logging(output=str(file), format="text"))
    structlog.get_logger().info("deployed", app="shop")
    assert "deployed" in file.read_text()
    assert not file.read_text().startswith("{")


def test_rotation_keeps_so_many_compressed_backups_and_loses_no_line_of_them(tmp_path):
    file = tmp_path / "node.log"
    times = iter(range(1_700_000_000, 1_800_000_000))
    rotation = Rotation(max_size_bytes=100, max_backups=3, max_age_days=0)
    handler = logs.RotatingFile(file, rotation, clock=lambda: float(next(times)))
    for n in range(50):
        handler.emit(record(f"{n:019d}"))
    handler.close()
    backups = handler.backups()
    assert len(backups) == 3
    assert all(b.suffix == ".gz" and b.stat().st_mode & 0o777 == 0o600 for b in backups)
    kept = [int(n) for b in backups for n in gzip.decompress(b.read_bytes()).split()]
    kept += [int(n) for n in file.read_bytes().split()]
    assert kept == list(range(50 - len(kept), 50))
    assert len(kept) == 20


def test_rotations_at_the_same_instant_do_not_overwrite_each_other(tmp_path):
    rotation = Rotation(max_size_bytes=10, max_backups=0, max_age_days=0, compress=False)
    handler = logs.RotatingFile(tmp_path / "node.log", rotation, clock=lambda: 1e9)
    for n in range(5):
        handler.emit(record(f"line {n}"))
    handler.close()
    assert [b.read_text() for b in handler.backups()] == [f"line {n}\n" for n in range(4)]


def test_old_backups_go_by_age_and_others_files_stay(tmp_path):
    rotation = Rotation(max_size_bytes=10, max_backups=0, max_age_days=1)
    (tmp_path / "node-notes.txt").write_text("mine")
    handler = logs.RotatingFile(tmp_path / "node.log", rotation)
    handler.emit(record("something long"))
    handler.emit(record("something else"))
    handler.close()
    assert len(handler.backups()) == 1
    later = logs.RotatingFile(tmp_path / "node.log", rotation, clock=lambda: sys.maxsize / 1e9)
    later.close()
    assert later.backups() == []
    assert (tmp_path / "node-notes.txt").exists()
    assert (tmp_path / "node.log").read_text() == "something else\n"


def record(text: str) -> logging.LogRecord:
    return logging.LogRecord("test", logging.INFO, __file__, 1, text, None, None)

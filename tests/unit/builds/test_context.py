import io
import tarfile
import time

from iarnet.builds.context import RECIPE, ignored_patterns, write_context


def test_what_is_ignored_is_left_out_at_any_depth() -> None:
    old, new = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=old, mode="w") as tar:
        for name in ("a.py", "node_modules/x/y/z.js", "web/node_modules/x.js", "web/b.js", ".dockerignore"):
            tar.addfile(tarfile.TarInfo(name))
    old.seek(0)
    ignore = ignored_patterns("**/node_modules\n")
    write_context(old, new, recipe="FROM a\n", ignore=ignore, extra={"ca.pem": b"x"}, mtime=7.0)
    new.seek(0)
    with tarfile.open(fileobj=new) as tar:
        assert tar.getnames() == ["a.py", "web/b.js", RECIPE, ".dockerignore", "ca.pem"]


def test_a_pattern_of_many_stars_takes_no_longer_than_others() -> None:
    old = io.BytesIO()
    with tarfile.open(fileobj=old, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("a" * 60))
    old.seek(0)
    before = time.process_time()
    write_context(old, io.BytesIO(), recipe="", ignore=ignored_patterns("*a" * 7 + "*b"), extra={}, mtime=0.0)
    assert time.process_time() - before < 1

import io
import os
import subprocess
import tarfile
from pathlib import Path

from iarnet.sources.archive import tar_stream
from iarnet.sources.objects import GitTree, Objects


def test_a_link_that_no_system_follows_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "near").symlink_to("./" * 2047 + "a")
    long = git(tmp_path, "init", "-q") or git(tmp_path, "hash-object", "-w", "--stdin", given="./" * 500_000)
    git(tmp_path, "add", "near")
    git(tmp_path, "update-index", "--add", "--cacheinfo", f"120000,{long},far")
    near = git(tmp_path, "rev-parse", ":near")
    git(tmp_path, "update-index", "--add", "--cacheinfo", f"120000,{near},{'d/' * 2048}deep")
    objects = Objects(tmp_path, git="git", env={**os.environ, "GIT_DIR": str(tmp_path / ".git")})
    tree = GitTree(objects, git(tmp_path, "write-tree"), limit=10)
    try:
        archive = io.BytesIO(b"".join(tar_stream(tree)))
    finally:
        tree.close()
    with tarfile.open(fileobj=archive) as tar:
        assert tar.getnames() == ["near"]


def git(folder: Path, *words: str, given: str = "") -> str:
    done = subprocess.run(["git", *words], cwd=folder, input=given, text=True, capture_output=True, check=True)
    return done.stdout.strip()

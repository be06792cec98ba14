import os

import pytest

from iarnet.errors import NotFound, SourceTooLarge
from iarnet.sources.folder import FolderTree


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "root"
    (root / "a" / "b").mkdir(parents=True)
    (root / ".git").mkdir()
    (root / ".git" / "config").write_text("secret")
    (root / "a" / "b" / "x.txt").write_text("hello")
    (root / "run.sh").write_text("#!/bin/sh")
    (root / "run.sh").chmod(0o755)
    return root


def test_no_folder_a_file_and_too_many_files_are_refused(folder):
    with pytest.raises(NotFound):
        FolderTree(folder / "none")
    with pytest.raises(NotFound):
        FolderTree(folder / "run.sh")
    with pytest.raises(NotFound):
        FolderTree(folder).subtree("a/none")
    with pytest.raises(SourceTooLarge):
        FolderTree(folder, max_files=1)


def test_nothing_leads_out(folder, tmp_path):
    (tmp_path / "outside.txt").write_text("outside")
    (folder / "link.txt").symlink_to(tmp_path / "outside.txt")
    (folder / "linked").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe")
    tree = FolderTree(folder)
    assert tree.paths() == ["a/b/x.txt", "run.sh"]
    for path in (
        "link.txt",
        "linked/outside.txt",
        "../outside.txt",
        "a/../run.sh",
        "/etc/passwd",
        ".git/config",
        "pipe",
    ):
        assert tree.read(path) is None
    with pytest.raises(NotFound):
        tree.subtree("..")
    with pytest.raises(NotFound):
        tree.subtree("linked")
    with pytest.raises(NotFound):
        tree.subtree("a/../a")


def test_paths_content_and_subtrees(folder):
    tree = FolderTree(folder)
    assert tree.paths() == ["a/b/x.txt", "run.sh"]
    assert tree.sizes(["run.sh", "a/b/x.txt"]) == [9, 5]
    assert tree.read_all(["a/b/x.txt"]) == [b"hello"]
    assert tree.read("a/b/x.txt") == b"hello"
    assert tree.read("a/b/x.txt", limit=2) == b"he"
    assert tree.subtree("a").paths() == ["b/x.txt"]
    assert tree.subtree(".").hash == tree.hash


def test_the_hash_follows_content_names_and_modes(folder):
    first = FolderTree(folder).hash
    assert FolderTree(folder).hash == first
    (folder / "a" / "b" / "x.txt").write_text("hellO")
    second = FolderTree(folder).hash
    (folder / "run.sh").chmod(0o644)
    third = FolderTree(folder).hash
    (folder / "run.sh").rename(folder / "start.sh")
    assert len({first, second, third, FolderTree(folder).hash}) == 4

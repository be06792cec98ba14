import pytest

from iarnet.errors import SourceError
from iarnet.sources import listing

SHA = "ab" * 20


def raw(*entries: tuple[str, bytes]) -> bytes:
    kinds = {"160000": "commit", "120000": "blob"}
    return b"".join(f"{mode} {kinds.get(mode, 'blob')} {SHA}\t".encode() + path + b"\0" for mode, path in entries)


def test_links_and_submodules_are_no_files() -> None:
    lines = listing.lines(raw(("100644", b"a\tb"), ("100755", b"run"), ("120000", b"link"), ("160000", b"lib")))
    files = listing.files(lines, "sub/")
    assert list(files) == ["sub/a\tb", "sub/run"]
    assert [listing.sha(line) for line in files.values()] == [SHA, SHA]
    items = listing.items(lines, "")
    assert [(i.path, i.executable, i.is_link, i.is_submodule) for i in items] == [
        ("a\tb", False, False, False),
        ("run", True, False, False),
        ("link", False, True, False),
        ("lib", False, False, True),
    ]
    assert listing.submodules(lines) == [lines[3]]


def test_sizes_are_read_where_they_are_listed() -> None:
    lines = listing.lines(f"100644 blob {SHA}      12\tx\x00160000 commit {SHA}       -\tlib\x00".encode())
    assert [(item.path, item.size) for item in listing.items(lines, "")] == [("x", 12), ("lib", 0)]


def test_names_that_are_no_text_are_no_files() -> None:
    lines = listing.lines(raw(("100644", b"caf\xe9"), ("100644", "café".encode())))
    assert list(listing.files(lines, "")) == ["café"]
    assert [item.path for item in listing.items(lines, "")] == ["caf\udce9", "café"]


@pytest.mark.parametrize(
    "path", [b"..", b".", b"a/../b", b"a/./b", b"a//b", b"/a", b"a/", b".git", b".GIT/hooks/x", b"a/.Git"]
)
def test_forged_names_are_refused(path: bytes) -> None:
    with pytest.raises(SourceError, match="forged"):
        listing.lines(raw(("100644", b"fine"), ("100644", path)))


@pytest.mark.parametrize(
    "path", [b".github/x", b".gitignore", b"a.git/x", b"a./b", b"...", b"a/..b/c", b"a../b", b"x.git"]
)
def test_names_that_only_look_so_are_not(path: bytes) -> None:
    assert len(listing.lines(raw(("100644", path)))) == 1

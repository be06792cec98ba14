from iarnet.analysis.base import Match
from iarnet.analysis.engine import analyze
from iarnet.analysis.files import TreeFiles, decode
from iarnet.analysis.memory import MemoryTree

TREE = MemoryTree(
    {
        "a.py": "x = 1\ny = 2 # x = 3\n",
        "src/b.py": "x = 4\n",
        "src/deep/c.js": "x = 5\n",
        "src-more/d.py": "",
        "node_modules/e.py": "x = 6\n",
        "src/vendor/modules.txt": "m",
    }
)


def test_generated_folders_are_not_listed_but_can_be_read() -> None:
    files = TreeFiles(TREE)
    assert files.paths() == ["a.py", "src-more/d.py", "src/b.py", "src/deep/c.js"]
    assert files.exists("src/vendor/modules.txt")
    assert files.text("src/vendor/modules.txt") == "m"


def test_paths_below_a_folder_and_to_a_depth() -> None:
    files = TreeFiles(TREE)
    assert files.paths("src") == ["src/b.py", "src/deep/c.js"]
    assert files.paths("src", depth=1) == ["src/b.py"]
    assert files.paths(depth=1) == ["a.py"]
    assert files.paths("nowhere") == []


def test_grep_finds_every_match_with_its_line() -> None:
    found = list(TreeFiles(TREE).grep(r"x = (\d)", suffixes=(".py",)))
    assert found == [
        Match("a.py", 1, "x = 1", ("1",)),
        Match("a.py", 2, "y = 2 # x = 3", ("3",)),
        Match("src/b.py", 1, "x = 4", ("4",)),
    ]


def test_huge_lines_and_files_are_passed_over() -> None:
    files = TreeFiles(MemoryTree({"a.js": "needle" + "x" * 3000 + "\nneedle\n", "b.js": "needle\n" + " " * 400_000}))
    assert [(match.path, match.line) for match in files.grep("needle")] == [("a.js", 2)]


def test_lines_are_counted_as_editors_do() -> None:
    files = TreeFiles(MemoryTree({"a.py": "one\r\ntwo\u2028still two\nthree\x0c\nneedle\r\n"}))
    assert [(match.line, match.text) for match in files.grep("needle$")] == [(4, "needle")]


def test_the_budget_of_bytes_ends_reading() -> None:
    files = TreeFiles(MemoryTree({"a": "1234", "b": "5678", "c": "9"}), budget=5)
    assert [files.text(name) for name in "abc"] == ["1234", "5678", None]
    assert files.exhausted
    assert files.text("a") == "1234"


def test_what_is_text() -> None:
    assert decode(b"\xef\xbb\xbfhi") == "hi"
    assert decode("hä".encode("utf-16")) == "hä"
    assert decode(b"h\xff") == "h�"
    assert decode(b"\x7fELF\x00") is None
    assert TreeFiles(TREE).text("nothing") is None


def test_a_huge_folder_is_searched_from_the_top() -> None:
    many = {f"a/b/{number}.py": "needle" for number in range(3000)}
    found = list(TreeFiles(MemoryTree(many | {"z.py": "needle"})).grep("needle"))
    assert len(found) == 2000
    assert found[-1].path == "z.py"


def test_folders_are_listed_to_a_depth() -> None:
    files = TreeFiles(
        MemoryTree(dict.fromkeys(("a.txt", "b/c.txt", "b/d/e/f.txt", "b-2/g.txt", "node_modules/h.js"), ""))
    )
    assert files.paths(depth=1) == ["a.txt"]
    assert files.paths(depth=2) == ["a.txt", "b-2/g.txt", "b/c.txt"]
    assert files.paths("b", 2) == ["b/c.txt"]
    assert files.paths("b/d", 2) == ["b/d/e/f.txt"]
    assert files.paths("b") == ["b/c.txt", "b/d/e/f.txt"]
    assert files.paths("none", 3) == []
    assert files.paths(depth=9) == files.paths()


def test_of_too_many_folders_those_with_a_manifest_are_looked_at() -> None:
    tree = {f"a{n}/x.txt": "" for n in range(400)} | {
        "z/go.mod": "module z\n",
        "z/main.go": "package main\nfunc main() {\n}\n",
    }
    assert [component.root for component in analyze(MemoryTree(tree)).components] == ["z"]

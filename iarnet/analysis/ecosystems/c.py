"""C and C++ with CMake, Meson or Make."""

import re
from dataclasses import dataclass, replace

from iarnet.analysis.base import Files, Profile
from iarnet.analysis.ecosystems.manifests import join, matches, names
from iarnet.analysis.ecosystems.notes import Notes
from iarnet.analysis.ecosystems.program import Framework, Outline, library, profile
from iarnet.analysis.ecosystems.signs import Signs, read_signs
from iarnet.analysis.recipes.stages import Stages, stages_recipe

FRAMEWORKS = (
    ("crow", re.compile(r"#include\s{0,20}[<\"]crow"), Framework("crow", (), 18080)),
    ("drogon", re.compile(r"#include\s{0,20}[<\"]drogon/"), Framework("drogon", (), 8848)),
    ("httplib", re.compile(r"#include\s{0,20}[<\"]httplib\.h"), Framework("httplib", (), 8080)),
    ("pistache", re.compile(r"#include\s{0,20}[<\"]pistache/"), Framework("pistache", (), 9080)),
)
SIGNS = Signs(
    (".c", ".cc", ".cpp", ".cxx", ".h", ".hpp"),
    re.compile(r"\bgetenv\(\s{0,20}\"(?P<name>[A-Za-z_]\w{0,80})\"\s{0,20}\)"),
    listen=re.compile(r"(?:\bhtons\(|\.port\(|\.listen\(|addListener\(|Port\()(?P<at>[^\n;]{1,120})"),
    pages=re.compile(r"text/html|<html", re.IGNORECASE),
    waits=re.compile(r"while\s{0,20}\(\s{0,20}(?:1|true)\s{0,20}\)|for\s{0,20}\(\s{0,20};\s{0,20};\s{0,20}\)"),
)
_CPP = (".cc", ".cpp", ".cxx", ".hpp")
_MAIN = re.compile(r"\bint\s{1,20}main\s{0,20}\(")
_DRIVERS = {"libpq": "pg", "pqxx": "pg", "hiredis": "redis", "mysql": "mysql", "mongocxx": "mongodb"}


@dataclass(frozen=True)
class _Tool:
    """`binary` finds names of executables; `built`: where the build leaves them."""

    file: str
    binary: re.Pattern[str]
    packages: tuple[str, ...]
    steps: tuple[tuple[str, ...], ...]
    built: str


_MAKE = re.compile(
    r"^(?:TARGET|BIN|PROGRAM|NAME|EXEC|EXECUTABLE)\s{0,9}[:?]?=\s{0,9}([\w./-]{1,80})|-o\s{1,9}([\w./-]{1,80})",
    re.MULTILINE,
)
_TOOLS = (
    _Tool(
        "CMakeLists.txt",
        re.compile(r"\badd_executable\(\s{0,20}([\w.${}-]{1,80})", re.IGNORECASE),
        ("cmake", "ninja-build"),
        (
            ("cmake", "-S", ".", "-B", "/out", "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release"),
            ("cmake", "--build", "/out"),
        ),
        "/out",
    ),
    _Tool(
        "meson.build",
        re.compile(r"\bexecutable\(\s{0,20}['\"]([\w.-]{1,80})"),
        ("meson", "ninja-build", "pkg-config"),
        (("meson", "setup", "/out", "--buildtype=release"), ("meson", "compile", "-C", "/out")),
        "/out",
    ),
    _Tool("Makefile", _MAKE, (), (("make",),), "/src"),
)


class C:
    name = "c"

    def recognise(self, files: Files, root: str, start: str | None = None) -> Profile | None:
        present = names(files, root)
        tool = next((tool for tool in _TOOLS if tool.file in present), None)
        if tool is None:
            return None
        code = read_signs(files, root, SIGNS, ())
        if not code.texts:
            return None
        notes, manifest = Notes(), join(root, tool.file)
        language = "c++" if any(path.endswith(_CPP) for path in code.texts) else "c"
        text = (files.text(manifest) or "")[:200_000]
        dependencies: dict[str, int | None] = {
            driver: None for word, driver in _DRIVERS.items() if word in text.lower()
        }
        main, binary = code.find(_MAIN), _binary(tool, text)
        if main is None or binary is None:
            return library(root, language, dependencies, notes)
        name = binary.rpartition("/")[2]
        includes = [f for _, expression, f in FRAMEWORKS if code.find(expression)]
        stages = Stages(
            "debian:bookworm-slim",
            "debian:bookworm-slim",
            start or f"./{name}",
            steps=tool.steps,
            results=((f"{tool.built}/{binary}", f"/app/{name}"),),
            tools=("build-essential", "git", "ca-certificates", *tool.packages),
            packages=("ca-certificates",),
        )
        outline = Outline(
            root,
            language,
            manifest,
            stages.start,
            framework=next(iter(includes), None),
            file=main[0],
            line=main[1],
            seen=code.seen,
            dependencies=dependencies,
            waits=code.waits,
            recipe=lambda port, env: stages_recipe(replace(stages, port=port, env=env)),
        )
        return profile(outline, notes)


def _binary(tool: _Tool, text: str) -> str | None:
    """The first executable that is no test; `${PROJECT_NAME}` is what `project()` says."""
    project = re.search(r"\bproject\(\s{0,20}['\"]?([\w.-]{1,80})", text, re.IGNORECASE)
    names_ = [next(group for group in found.groups() if group) for found in matches(tool.binary, text)]
    for name in names_:
        plain = project[1] if "${PROJECT_NAME}" in name and project else name
        if not re.search(r"test|bench|example|\$", plain, re.IGNORECASE) and not plain.endswith((".o", ".so", ".a")):
            return plain
    return None

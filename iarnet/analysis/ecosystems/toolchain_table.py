"""The rows of `toolchains`: what says that a folder is of the language, how it is built, what is left to run."""

import re
from dataclasses import dataclass

from iarnet.analysis.ecosystems.program import Framework

Steps = tuple[tuple[str, ...] | str, ...]


@dataclass(frozen=True)
class Toolchain:
    """`manifest`: a file's name, or an ending that begins with a dot; the group of `program` is the name of the
    program. `{name}` and `{file}` stand in `start`, `steps` and `result`; `frameworks` are found in the manifest."""

    language: str
    manifest: str
    program: re.Pattern[str]
    start: str
    build: str
    run: str
    steps: Steps
    result: tuple[str, str]
    suffixes: tuple[str, ...]
    tools: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    tag: str = ""
    frameworks: tuple[Framework, ...] = ()
    also: str = ""
    """A file beside the manifest that may name the program."""


_JAR = "java -jar app.jar"
_JRE = "eclipse-temurin:17-jre"
_TAKE_JAR = (
    "RUN for jar in target/*.jar target/*-standalone.jar target/*/*-standalone.jar;"
    ' do if [ -e "$jar" ]; then cp "$jar" /out.jar; fi; done && test -e /out.jar'
)
_SWIFT = re.compile(
    r"(?:executableTarget|executable)\(\s{0,20}name:\s{0,20}\"([\w-]{1,80})\"|name:\s{0,20}\"([\w-]{1,80})\""
)
_ZIG = re.compile(r"(?:\.name\s{0,20}=|addExecutable\()\s{0,20}\"([\w-]{1,80})\"")
TOOLCHAINS = (
    Toolchain(
        "gleam",
        "gleam.toml",
        re.compile(r"^name\s{0,20}=\s{0,20}\"([\w-]{1,80})\"", re.M),
        "./entrypoint.sh run",
        "ghcr.io/gleam-lang/gleam:v1.6.3-erlang",
        "erlang:27-slim",
        (("gleam", "export", "erlang-shipment"),),
        ("/src/build/erlang-shipment", "/app"),
        (".gleam",),
        frameworks=(Framework("wisp", ("wisp",), 8000), Framework("mist", ("mist",), 8000)),
    ),
    Toolchain(
        "swift",
        "Package.swift",
        _SWIFT,
        "./{name}",
        "swift:5.10",
        "swift:5.10-slim",
        (("swift", "build", "-c", "release", "--static-swift-stdlib"),),
        ("/src/.build/release/{name}", "/app/{name}"),
        (".swift",),
        frameworks=(Framework("vapor", ("vapor",), 8080), Framework("hummingbird", ("hummingbird",), 8080)),
    ),
    Toolchain(
        "zig",
        "build.zig",
        _ZIG,
        "./{name}",
        "debian:bookworm-slim",
        "debian:bookworm-slim",
        (("zig", "build", "-Doptimize=ReleaseSafe"),),
        ("/src/zig-out/bin/{name}", "/app/{name}"),
        (".zig",),
        tools=("zig",),
    ),
    Toolchain(
        "crystal",
        "shard.yml",
        re.compile(r"^targets:\s{0,20}\n\s{1,20}([\w-]{1,80}):", re.M),
        "./{name}",
        "crystallang/crystal:1",
        "debian:bookworm-slim",
        (("shards", "build", "--release", "--static", "--production"),),
        ("/src/bin/{name}", "/app/{name}"),
        (".cr",),
        frameworks=(
            Framework("kemal", ("kemal",), 3000),
            Framework("lucky", ("lucky",), 3000),
            Framework("amber", ("amber",), 3000),
        ),
    ),
    Toolchain(
        "dart",
        "pubspec.yaml",
        re.compile(r"^name:\s{0,20}([\w-]{1,80})", re.M),
        "./{name}",
        "dart:3",
        "debian:bookworm-slim",
        (("dart", "pub", "get"), ("dart", "compile", "exe", "bin/{name}.dart", "-o", "/out")),
        ("/out", "/app/{name}"),
        (".dart",),
        frameworks=(Framework("shelf", ("shelf",), 8080), Framework("dart_frog", ("dart_frog",), 8080)),
    ),
    Toolchain(
        "haskell",
        "stack.yaml",
        re.compile(r"^executables:[ \t]{0,20}\n[ \t]{1,20}([\w-]{1,80}):", re.M),
        "./{name}",
        "haskell:9",
        "debian:bookworm-slim",
        (("stack", "install", "--local-bin-path", "/out"),),
        ("/out", "/app"),
        (".hs",),
        frameworks=(
            Framework("yesod", ("yesod",), 3000),
            Framework("scotty", ("scotty",), 3000),
            Framework("servant", ("servant-server",), 8080),
        ),
        also="package.yaml",
    ),
    Toolchain(
        "scala",
        "build.sbt",
        re.compile(r"\bname\s{0,20}:=\s{0,20}\"([\w -]+)\""),
        "./bin/main",
        "sbtscala/scala-sbt:eclipse-temurin-17.0.13_11_1.10.6_2.13.15",
        _JRE,
        (("sbt", "stage"),),
        ("/src/target/universal/stage", "/app"),
        (".scala",),
        frameworks=(
            Framework("play", ("playframework", "PlayScala"), 9000, pages=True),
            Framework("akka-http", ("akka-http",), 8080),
            Framework("http4s", ("http4s",), 8080),
        ),
    ),
    Toolchain(
        "clojure",
        "project.clj",
        re.compile(r"\(defproject\s{1,20}([\w./-]{1,80})"),
        _JAR,
        "clojure:temurin-17-lein",
        _JRE,
        (("lein", "uberjar"), _TAKE_JAR),
        ("/out.jar", "/app/app.jar"),
        (".clj",),
        frameworks=(
            Framework("luminus", ("luminus",), 3000, pages=True),
            Framework("ring", ("ring",), 3000),
            Framework("pedestal", ("pedestal",), 8080),
        ),
    ),
    Toolchain(
        "clojure",
        "deps.edn",
        re.compile(r":main-opts\s{0,20}\[\"-m\"\s{0,20}\"([\w.-]{1,80})"),
        _JAR,
        "clojure:temurin-17-tools-deps",
        _JRE,
        (("clojure", "-T:build", "uber"), "RUN cp $(ls target/*.jar | head -n 1) /out.jar"),
        ("/out.jar", "/app/app.jar"),
        (".clj",),
        frameworks=(Framework("ring", ("ring/",), 3000), Framework("pedestal", ("pedestal",), 8080)),
    ),
    Toolchain(
        "cobol",
        ".cbl",
        re.compile(r"PROGRAM-ID\.\s{0,20}([\w-]{1,80})", re.I),
        "./{file}",
        "debian:bookworm-slim",
        "debian:bookworm-slim",
        (("cobc", "-x", "-o", "/out", "{path}"),),
        ("/out", "/app/{file}"),
        (".cbl",),
        tools=("gnucobol4", "gcc"),
        packages=("libcob4",),
    ),
    Toolchain(
        "scheme",
        "init.scm",
        re.compile(r"$^"),
        "guile init.scm",
        "debian:bookworm-slim",
        "debian:bookworm-slim",
        (),
        ("/src", "/app"),
        (".scm",),
        packages=("guile-3.0",),
    ),
)

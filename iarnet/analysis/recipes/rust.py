"""The Dockerfile of a Rust program."""

from collections.abc import Mapping
from dataclasses import dataclass

from iarnet.analysis.recipes.stages import Stages, stages_recipe

_OLDEST_BOOKWORM = (1, 70)


@dataclass(frozen=True)
class RustBuild:
    """`version`: as `1.75`, None for the newest. `copied` lie beside the program; `root` is the package's folder and
    `context` its workspace's."""

    version: str | None
    start: str
    binary: str
    dependencies: frozenset[str] = frozenset()
    copied: tuple[str, ...] = ()
    root: str = "."
    context: str = "."
    port: int | None = None
    env: Mapping[str, str] | None = None


def rust_recipe(build: RustBuild) -> str:
    """What is compiled on an older distribution also runs on a newer one, not the other way round."""
    folder = "" if build.root == build.context else build.root.removeprefix(f"{build.context}/") + "/"
    secure = bool({"openssl", "openssl-sys", "native-tls", "reqwest"} & build.dependencies)
    postgres = bool({"diesel", "pq-sys"} & build.dependencies)
    tools = (("pkg-config", "libssl-dev") if secure else ()) + (("libpq-dev",) if postgres else ())
    if "tonic" in build.dependencies:
        tools += ("protobuf-compiler",)
    number = tuple(int(part) for part in (build.version or "9.9").split("."))
    base = "bookworm" if number >= _OLDEST_BOOKWORM else "bullseye"
    return stages_recipe(
        Stages(
            f"rust:{build.version or '1'}-slim-{base}",
            "debian:bookworm-slim",
            build.start,
            tools=tools,
            # By its place: by name it can't be told from a dependency that is called the same.
            steps=(("cargo", "build", "--release", "--manifest-path", f"{folder}Cargo.toml", "--bin", build.binary),),
            results=(
                (f"/src/target/release/{build.binary}", f"/app/{build.binary}"),
                *((f"/src/{folder}{name}", f"/app/{name}") for name in build.copied),
            ),
            packages=("ca-certificates", *(("libssl3",) if secure else ()), *(("libpq5",) if postgres else ())),
            env=build.env,
            port=build.port,
        )
    )

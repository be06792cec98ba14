"""The Dockerfile of a Ruby program."""

from collections.abc import Mapping
from dataclasses import dataclass

from iarnet.analysis.recipes.stages import Stages, stages_recipe

_LIBRARIES = {
    "pg": ("libpq-dev", "libpq5"),
    "mysql2": ("default-libmysqlclient-dev", "libmariadb3"),
    "sqlite3": ("libsqlite3-dev", "libsqlite3-0"),
    "rmagick": ("libmagickwand-dev", "imagemagick"),
    "mini_magick": ("imagemagick", "imagemagick"),
    "execjs": ("nodejs", "nodejs"),
    "uglifier": ("nodejs", "nodejs"),
    "image_processing": ("libvips-dev", "libvips42"),
}


@dataclass(frozen=True)
class RubyBuild:
    """`present`: the files at the root. `assets`: Rails has some to prepare."""

    version: str
    start: str
    present: frozenset[str]
    gems: frozenset[str] = frozenset()
    assets: bool = False
    port: int | None = None
    env: Mapping[str, str] | None = None


def ruby_recipe(build: RubyBuild) -> str:
    """Gems are installed without those for development and tests; Rails compiles its assets without its secrets."""
    pairs = [_LIBRARIES[name] for name in sorted(build.gems & _LIBRARIES.keys())]
    bundled = "Gemfile" in build.present
    rails = "rails" in build.gems
    settings = {"BUNDLE_WITHOUT": "development:test", "BUNDLE_PATH": "/bundle"}
    production = (
        {"RAILS_ENV": "production", "RAILS_LOG_TO_STDOUT": "1", "RAILS_SERVE_STATIC_FILES": "1"} if rails else {}
    )
    precompile = (
        ("env", "RAILS_ENV=production", "SECRET_KEY_BASE_DUMMY=1", "bundle", "exec", "rails", "assets:precompile"),
    )
    return stages_recipe(
        Stages(
            f"ruby:{build.version}-slim",
            f"ruby:{build.version}-slim",
            build.start,
            tools=("build-essential", "git", "libyaml-dev", "pkg-config", *sorted({first for first, _ in pairs})),
            fetch=(
                ("ENV " + " ".join(f"{name}={value}" for name, value in settings.items()))
                if bundled
                else "ENV LANG=C.UTF-8",
            ),
            steps=((("bundle", "install"),) if bundled else (("mkdir", "-p", "/bundle"),))
            + (precompile if rails and build.assets else ()),
            results=(("/bundle", "/bundle"), ("/src", "/app")),
            packages=tuple(sorted({second for _, second in pairs})),
            env={**settings, "RACK_ENV": "production", **production, **(build.env or {})},
            port=build.port,
        )
    )

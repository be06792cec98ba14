"""The ecosystems that a row or a page describes: what each says of a small project of its kind."""

from dataclasses import dataclass, field

import pytest

from iarnet.analysis.base import Profile
from iarnet.analysis.ecosystems.catalog import ECOSYSTEMS
from tests.unit.analysis.ecosystems.recognising import ask, clue, given, optional, port


@dataclass(frozen=True)
class Project:
    """`says` is language, framework, kind, start command and port."""

    files: dict[str, str]
    says: tuple[str, str | None, str, str, int | None]
    base: str = ""
    reads: frozenset[str] = field(default_factory=frozenset)


CARGO = '[package]\nname = "shop"\n\n[dependencies]\n'
CSPROJ = (
    '<Project Sdk="Microsoft.NET.Sdk{}"><PropertyGroup><TargetFramework>net8.0</TargetFramework>{}</PropertyGroup>'
    "{}</Project>"
)
PROJECTS = {
    "rust-axum": Project(
        {
            "Cargo.toml": CARGO + 'axum = "0.7"\n',
            "src/main.rs": 'fn main() {\n  TcpListener::bind("0.0.0.0:3210").await;\n  env::var("TOKEN");\n}\n',
            "rust-toolchain.toml": '[toolchain]\nchannel = "1.75.0"\n',
        },
        ("rust", "axum", "api", "./shop", 3210),
        "rust:1.75-slim-bookworm",
        frozenset({"TOKEN"}),
    ),
    "rust-rocket": Project(
        {"Cargo.toml": CARGO + 'rocket = "0.5"\n', "src/main.rs": "#[launch]\nfn rocket() -> _ {}\n"},
        ("rust", "rocket", "api", "./shop", 8000),
    ),
    "rust-with-settings-in-a-file": Project(
        {
            "Cargo.toml": '[package]\nname = "shop"\n[dependencies]\nactix-web = "4"\nconfig = "0.15"\n',
            "src/main.rs": "fn main() { HttpServer::new(app).listen(listener) }\n",
            "configuration/base.yaml": "application:\n  host: 0.0.0.0\n  port: 8003\ndatabase:\n  port: 5432\n",
        },
        ("rust", "actix", "api", "./shop", 8003),
        "rust:1",
    ),
    "rust-of-several-binaries": Project(
        {
            "Cargo.toml": '[package]\nname = "shop"\ndefault-run = "two"\n',
            "src/bin/one.rs": "fn main() {}\n",
            "src/bin/two.rs": "fn main() {\n  loop {}\n}\n",
        },
        ("rust", None, "worker", "./two", None),
    ),
    "rails": Project(
        {"Gemfile": "ruby '3.2.1'\ngem 'rails', '~> 7'\ngem 'pg'\n", "config.ru": "run Rails.application\n"},
        ("ruby", "rails", "web", "bundle exec rails server -b 0.0.0.0 -p ${PORT:-3000}", 3000),
        "ruby:3.2-slim",
    ),
    "sinatra": Project(
        {"Gemfile": "gem 'sinatra'\n", "app.rb": "require 'sinatra'\nset :port, 5055\nENV['TOKEN']\n"},
        ("ruby", "sinatra", "api", "bundle exec ruby app.rb -o 0.0.0.0 -p ${PORT:-4567}", 4567),
        "ruby:3.3-slim",
        frozenset({"TOKEN"}),
    ),
    "sidekiq": Project({"Gemfile": "gem 'sidekiq'\n"}, ("ruby", "sidekiq", "worker", "bundle exec sidekiq", None)),
    "ruby-script": Project({"app.rb": "puts 1\n"}, ("ruby", None, "job", "ruby app.rb", None)),
    "laravel": Project(
        {
            "composer.json": '{"require": {"php": "^8.2", "laravel/framework": "^11"}}',
            "artisan": "",
            "public/index.php": "<?php env('MAIL_FROM');\n",
            "package.json": '{"devDependencies": {"vite": "5"}, "scripts": {"build": "vite build"}}',
        },
        ("php", "laravel", "web", "apache2-foreground", 8080),
        "php:8.2-apache",
        frozenset({"MAIL_FROM"}),
    ),
    "wordpress": Project(
        {"index.php": "<?php\n", "wp-load.php": "<?php\n"},
        ("php", "wordpress", "web", "apache2-foreground", 8080),
        "php:8.3-apache",
    ),
    "slim": Project(
        {"composer.json": '{"require": {"slim/slim": "4"}}', "public/index.php": "<?php\n"},
        ("php", "slim", "api", "apache2-foreground", 8080),
    ),
    "aspnet": Project(
        {
            "Api.csproj": CSPROJ.format(".Web", "", ""),
            "Program.cs": 'var app = WebApplication.CreateBuilder(args).Build();\napp.MapGet("/health", () => 1);\n'
            'Environment.GetEnvironmentVariable("TOKEN");\n',
        },
        ("c#", "aspnetcore", "api", "dotnet Api.dll", 8080),
        "mcr.microsoft.com/dotnet/aspnet:8.0",
        frozenset({"TOKEN"}),
    ),
    "fsharp-console": Project(
        {"Run.fsproj": CSPROJ.format("", "<OutputType>Exe</OutputType>", ""), "Program.fs": "[<EntryPoint>]\n"},
        ("f#", None, "job", "dotnet Run.dll", None),
        "mcr.microsoft.com/dotnet/runtime:8.0",
    ),
    "phoenix": Project(
        {
            "mix.exs": 'def project, do: [app: :shop, elixir: "~> 1.15"]\n'
            'defp deps, do: [\n    {:phoenix, "~> 1.7"},\n',
            "config/runtime.exs": 'System.get_env("SECRET_KEY_BASE")\nurl: [host: h, port: 443],\n'
            "http: [ip: {0}, port: 4100]\n",
        },
        ("elixir", "phoenix", "web", "./bin/shop start", 4100),
        "elixir:1.15-slim",
        frozenset({"SECRET_KEY_BASE"}),
    ),
    "deno-task": Project(
        {
            "deno.jsonc": '{ // tasks\n "tasks": {"start": "deno run -A dev.ts",} }',
            "main.ts": "Deno.serve({ port: 8001 }, h);\n",
        },
        ("typescript", None, "api", "deno run -A dev.ts", 8001),
        "denoland/deno:2",
    ),
    "deno-without-configuration": Project(
        {"main.ts": 'import * as o from "https://deno.land/x/cowsay/mod.ts";\n'},
        ("typescript", None, "job", "deno run --allow-all main.ts", None),
    ),
    "cmake": Project(
        {
            "CMakeLists.txt": "project(shop CXX)\nadd_executable(${PROJECT_NAME} main.cc)\n",
            "main.cc": "int main() { htons(9001); }\n",
        },
        ("c++", None, "api", "./shop", 9001),
    ),
    "meson": Project(
        {"meson.build": "executable('shop', ['main.c'])\n", "main.c": "int main() { return 0; }\n"},
        ("c", None, "job", "./shop", None),
    ),
    "gleam": Project({"gleam.toml": 'name = "shop"\n'}, ("gleam", None, "job", "./entrypoint.sh run", None)),
    "vapor": Project(
        {"Package.swift": '.package(url: "https://github.com/vapor/vapor.git")\n.executableTarget(name: "Run")\n'},
        ("swift", "vapor", "api", "./Run", 8080),
    ),
    "crystal": Project(
        {"shard.yml": "name: x\ntargets:\n  shop:\n    main: a.cr\n"}, ("crystal", None, "job", "./shop", None)
    ),
    "clojure": Project(
        {"project.clj": '(defproject shop "1")\n'}, ("clojure", None, "job", "java -jar app.jar", None)
    ),
    "shell": Project({"start.sh": "#!/usr/bin/env bash\necho 1\n"}, ("shell", None, "job", "bash start.sh", None)),
    "war": Project(
        {"pom.xml": "<project><packaging>war</packaging><artifactId>wildfly-x</artifactId></project>"},
        ("java", "wildfly", "web", "/opt/jboss/wildfly/bin/standalone.sh -b 0.0.0.0", 8080),
        "quay.io/wildfly/wildfly",
    ),
    "bun": Project(
        {
            "package.json": '{"module": "index.ts"}',
            "bun.lockb": "",
            "index.ts": "Bun.serve({ port: 3111 })",
            "tsconfig.json": "{}",
        },
        ("typescript", None, "api", "bun index.ts", 3111),
    ),
    "pnpm-with-json5": Project(
        {
            "package.json5": "{ name: 'x', // five\n scripts: {start: \"node a.js\"}, }".replace("'x'", '"x"'),
            "pnpm-lock.yaml": "",
        },
        ("javascript", None, "worker", "pnpm run start", None),
    ),
    "fasthtml": Project(
        {"requirements.txt": "python-fasthtml\n", "main.py": "from fasthtml.common import *\napp, rt = fast_app()\n"},
        ("python", "fasthtml", "web", "uvicorn main:app --host 0.0.0.0 --port 8000", 8000),
    ),
}


def first(files: dict[str, str]) -> Profile:
    return next(profile for ecosystem in ECOSYSTEMS if (profile := ask(ecosystem, files)) and profile.runnable)


@pytest.mark.parametrize("name", PROJECTS)
def test_what_it_is_and_how_it_starts(name: str) -> None:
    project = PROJECTS[name]
    profile = first(project.files)
    found = (profile.language, profile.framework, profile.kind, profile.start_command, port(profile))
    assert found == project.says
    assert project.base in (profile.recipe or "")
    assert project.reads <= optional(profile) | given(profile).keys()


@pytest.mark.parametrize("name", PROJECTS)
def test_every_fact_names_a_file_of_the_project(name: str) -> None:
    project = PROJECTS[name]
    profile = first(project.files)
    assert clue(profile, "start_command")[0] == profile.start_command
    assert {c.file for c in profile.clues} <= project.files.keys()


def test_libraries_are_not_run() -> None:
    library = {"Cargo.toml": '[package]\nname = "x"\n', "src/lib.rs": ""}
    assert not [p for ecosystem in ECOSYSTEMS if (p := ask(ecosystem, library)) and p.runnable]
    tests = {"T.csproj": CSPROJ.format("", "<OutputType>Exe</OutputType>", '<PackageReference Include="xunit"/>')}
    assert not [p for ecosystem in ECOSYSTEMS if (p := ask(ecosystem, tests)) and p.runnable]


def test_a_project_that_refers_to_another_is_built_from_above_both() -> None:
    files = {
        "src/Api/Api.csproj": CSPROJ.format(".Web", "", r'<ProjectReference Include="..\Lib\Lib.csproj"/>'),
        "src/Lib/Lib.csproj": CSPROJ.format("", "", ""),
        "src/Api/Program.cs": "WebApplication.CreateBuilder(args);\n",
    }
    profile = next(p for ecosystem in ECOSYSTEMS if (p := ask(ecosystem, files, "src/Api")) and p.runnable)
    assert profile.context == "src"
    assert '"publish", "Api/Api.csproj"' in (profile.recipe or "")


def test_a_driver_in_a_feature_counts() -> None:
    cargo = CARGO + 'sqlx = { version = "0.7", features = ["postgres", "runtime-tokio"] }\n'
    profile = first({"Cargo.toml": cargo, "src/main.rs": "fn main() {}"})
    assert "postgres" in profile.dependencies


def test_a_crate_that_is_called_like_what_it_depends_on() -> None:
    cargo = CARGO.replace("shop", "rocket") + 'rocket = "0.5"\n'
    profile = first({"Cargo.toml": cargo, "src/main.rs": "fn main() {}"})
    assert '"--manifest-path", "Cargo.toml", "--bin", "rocket"' in (profile.recipe or "")

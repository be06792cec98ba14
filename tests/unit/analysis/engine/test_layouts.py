"""Which programs a repository holds, however its folders lie."""

import pytest

from iarnet.analysis.engine import analyze
from iarnet.analysis.memory import MemoryTree
from iarnet.models.component import Component

WEB = '<Project Sdk="Microsoft.NET.Sdk.Web" />'
SERVER = {"index.js": "require('http').createServer().listen(3000)\n"}
PAGE = '<script type="module" src="/src/main.ts"></script>'
EXPRESS = '{"scripts": {"start": "node index.js"}, "dependencies": {"express": "4"}}'


def found(files: dict[str, str]) -> dict[str, Component]:
    return {component.name: component for component in analyze(MemoryTree(files)).components}


def roots(files: dict[str, str]) -> list[str]:
    return sorted(component.root for component in found(files).values())


def test_a_manifest_tells_of_a_program_however_deep_it_lies() -> None:
    files = {
        "src/Services/Basket/Basket.API/Basket.API.csproj": WEB,
        "src/Services/Orders/Command/Worker/Worker.csproj": WEB,
        "src/Services/Stock/Command/Worker/Worker.csproj": WEB,
    }
    assert set(found(files)) == {"basket-api", "worker", "command-worker"}


@pytest.mark.parametrize(
    "folder", ["end-to-end-tests", "Shop.UnitTests", ".github/checks", "e2e-app", "packaging/deb"]
)
def test_what_only_serves_development_is_left_aside(folder: str) -> None:
    files = {"api/package.json": EXPRESS, **{f"api/{name}": text for name, text in SERVER.items()}}
    assert roots({**files, f"{folder}/package.json": EXPRESS, f"{folder}/index.js": SERVER["index.js"]}) == ["api"]


def test_a_folder_whose_name_only_contains_such_a_word_is_none() -> None:
    files = {"contest/package.json": EXPRESS, "contest/index.js": SERVER["index.js"], "api/package.json": EXPRESS}
    assert "contest" in roots({**files, "api/index.js": SERVER["index.js"]})


def test_the_root_of_a_workspace_stays_when_it_is_an_application_itself() -> None:
    files = {
        "package.json": '{"scripts": {"start": "node .output/server/index.mjs"}, "devDependencies": {"nuxt": "3"}}',
        "pnpm-workspace.yaml": "packages:\n  - proxy\n",
        "proxy/package.json": EXPRESS,
        "proxy/index.js": SERVER["index.js"],
    }
    assert roots(files) == [".", "proxy"]


def test_settings_of_pnpm_make_no_workspace() -> None:
    kit = '{"devDependencies": {"@sveltejs/kit": "2", "@sveltejs/adapter-node": "5"}}'
    files = {"package.json": kit, "pnpm-workspace.yaml": "onlyBuiltDependencies:\n  - esbuild\n"}
    assert found(files)["web"].framework == "sveltekit"


def test_a_library_that_is_built_with_vite_is_no_site() -> None:
    vite = '{"scripts": {"build": "vite build"}, "devDependencies": {"vite": "5"}}'
    site = {"apps/web/package.json": vite, "apps/web/index.html": "<div id=app>"}
    parts = {"packages/ui/package.json": vite, "packages/ui/index.html": PAGE, "packages/log/package.json": vite}
    config = {"packages/ui/vite.config.ts": "export default { build: { lib: { entry: 'a.ts' } } }"}
    top = {"package.json": '{"workspaces": ["apps/*", "packages/*"]}'}
    assert roots({**top, **site, **parts, **config}) == ["apps/web"]


def test_pages_that_a_server_of_the_same_folder_delivers_are_a_part_of_it() -> None:
    pom = "<project><dependencies><dependency><groupId>org.springframework.boot</groupId>"
    pom += "<artifactId>spring-boot-starter-web</artifactId></dependency></dependencies></project>"
    files = {
        "pom.xml": pom,
        "src/main/java/App.java": "class App { public static void main(String[] a) {} }",
        "package.json": '{"dependencies": {"@angular/core": "18"}, "scripts": {"build": "ng build"}}',
        "src/main/webapp/package.json": '{"devDependencies": {"vite": "5"}}',
        "src/main/webapp/index.html": "",
    }
    assert [(c.language, c.framework) for c in found(files).values()] == [("java", "spring-boot")]


def test_a_start_command_belongs_to_the_tool_that_it_names_else_to_who_has_a_program() -> None:
    go = {"go.mod": "module example.org/shop\n", "main.go": "package main\nfunc main() {\n for {\n }\n}\n"}
    both = {**go, "package.json": '{"private": true}'}

    def language(**more: str) -> str | None:
        return next(iter(found({**both, **more}).values())).language

    assert language(Dockerfile='FROM alpine\nCMD ["/app/start.sh"]\n') == "go"
    assert language(Procfile="web: node tools.js\n") == "javascript"


def test_a_dockerfile_for_many_builds_is_passed_over() -> None:
    files = {
        "docker/Dockerfile": "FROM eclipse-temurin:17\nARG ARTIFACT\nCOPY ${ARTIFACT}.jar app.jar\n",
        "api/package.json": EXPRESS,
        "api/index.js": SERVER["index.js"],
    }
    analysis = analyze(MemoryTree(files))
    assert [component.root for component in analysis.components] == ["api"]
    assert "dockerfile-of-many" in {warning.code for warning in analysis.warnings}


def test_what_tells_the_context_of_a_build() -> None:
    def context(path: str, text: str, **more: str) -> str:
        files = {path: text, "src/Shop/Shop.csproj": WEB, "src/Shared/Shared.cs": "", **more}
        return next(c.build.context for c in found(files).values() if c.build)

    work = 'FROM sdk AS build\nCOPY . .\nWORKDIR "/src/Shop"\nRUN dotnet publish\n'
    assert context("src/Shop/Dockerfile", work) == "."
    named = "FROM sdk\nCOPY Shop/Shop.csproj Shop/\nCOPY Shared/ Shared/\nCOPY . .\n"
    assert context("src/Shop/Dockerfile", named) == "src"
    assert context("src/Shop/Dockerfile", "FROM sdk\nCOPY . .\n") == "src/Shop"


def test_a_dockerfile_in_another_folder_is_about_the_program_that_it_copies() -> None:
    program = {"package.json": EXPRESS, **SERVER}
    one = found({**program, "other/Dockerfile": "FROM node:22\nCOPY package.json index.js ./\nEXPOSE 3000\n"})
    assert [(c.root, c.framework) for c in one.values()] == [(".", "express")]
    aside = {"packaging/deb/Dockerfile": "FROM debian\nCOPY package.json index.js ./\nCMD make\n"}
    assert found({**program, **aside})["api"].build.dockerfile is None  # type: ignore[union-attr]


def test_the_same_program_on_several_bases_is_one() -> None:
    text = "FROM node:22\nCOPY . .\nEXPOSE 3000\nCMD node index.js\n"
    docker = {f"docker/{name}.Dockerfile": text for name in ("alpine", "default")}
    components = found({"package.json": EXPRESS, **SERVER, **docker})
    assert [c.build.dockerfile for c in components.values() if c.build] == ["docker/default.Dockerfile"]


def test_of_a_folder_without_a_program_the_start_command_names_the_member() -> None:
    files = {
        "package.json": '{"workspaces": ["apps/*"]}',
        "apps/shop/package.json": EXPRESS,
        "apps/shop/index.js": SERVER["index.js"],
        "apps/mail/package.json": '{"scripts": {"start": "node index.js"}, "dependencies": {"koa": "2"}}',
        "apps/mail/index.js": "require('koa')().listen(3001)",
        "Dockerfile": "FROM node:22\nCOPY . .\nCMD npx turbo run start --filter=@acme/shop\n",
    }
    assert {c.framework for c in found(files).values()} == {"express"}


def test_a_process_that_nothing_builds_is_left_out_beside_others() -> None:
    files = {"package.json": EXPRESS, **SERVER, "parts/live/Procfile": "web: run --it\n"}
    analysis = analyze(MemoryTree(files))
    assert [component.root for component in analysis.components] == ["."]
    assert "not-built" in {warning.code for warning in analysis.warnings}


def test_an_image_that_is_made_here_is_built() -> None:
    compose = (
        "services:\n  app:\n    image: ghcr.io/acme/umami:1\n    ports: [3000:3000]\n  db:\n    image: postgres:15\n"
    )
    program = {"package.json": '{"name": "umami", "scripts": {"start": "node index.js"}}', **SERVER}
    components = found({**program, "compose.yaml": compose})
    assert set(components) == {"app", "db"}
    assert (components["app"].image, components["app"].root) == (None, ".")
    assert found({**program, "compose.yaml": compose.replace("umami", "other")})["app"].image


def test_an_image_of_the_project_is_made_by_its_only_dockerfile_and_may_be_called_as_its_app() -> None:
    compose = "services:\n  app:\n    image: acme/kiosk\n    ports: [3000:3000]\n"
    packed = {"apps/web/Dockerfile": "FROM node:22\nCOPY . .\nCMD node index.js\n", "apps/web/package.json": EXPRESS}
    components = found({**packed, "app.json": '{"name": "kiosk"}', "compose.yaml": compose})
    assert components["app"].root == "apps/web"


BELOW = "services:\n  shop:\n    build: {context: .., dockerfile: docker/Dockerfile}\n    ports: [3000:3000]\n"


def test_a_compose_file_in_a_folder_for_it_is_the_applications() -> None:
    files = {
        "package.json": EXPRESS,
        **SERVER,
        "docker/Dockerfile": "FROM node:22\nCOPY . .\nCMD node index.js\n",
        "docker/compose.yaml": BELOW + "  db:\n    image: postgres:${VERSION}\n",
        "docker/.env.example": "VERSION=17\n",
    }
    components = found(files)
    assert {name: c.root for name, c in components.items()} == {"shop": ".", "db": "."}
    assert (components["shop"].framework, components["db"].image) == ("express", "postgres:17")
    assert set(found({**files, "docker/compose.yaml": "services:\n  db:\n    image: postgres:15\n"})) == {"api"}
    broken = analyze(MemoryTree({**files, "docker/compose.yaml": BELOW.replace("..", "../..")}))
    assert [c.name for c in broken.components] == ["api"]
    assert "broken-manifest" in {warning.code for warning in broken.warnings}
    assert set(found({**files, "deploy/compose.yaml": BELOW})) == {"api"}, "two of them are for somebody who chooses"


def test_how_images_of_ones_own_are_made_may_stand_beside() -> None:
    files = {
        "apps/web/package.json": '{"scripts": {"build": "next build"}, "dependencies": {"next": "15"}}',
        "apps/mail/package.json": EXPRESS,
        "apps/mail/index.js": SERVER["index.js"],
        "docker/Dockerfile": "FROM node:22 AS web\nCOPY . .\nENTRYPOINT /init\nFROM node:22 AS mail\nCMD node mail\n",
        "docker/docker-compose.yml": "services:\n  web:\n    image: acme/all\n    ports: [3000:3000]\n",
        "docker/docker-compose.build.yml": "services:\n  web:\n"
        "    build: {context: .., dockerfile: docker/Dockerfile, target: web}\n",
    }
    web = found(files)["web"]
    assert (web.framework, web.start_command, web.build and web.build.target) == ("next", "/init", "web")


def test_the_code_may_be_what_is_mounted() -> None:
    compose = "services:\n  php:\n    build: docker/php\n    volumes: ['.:/app']\n    ports: [8000:8000]\n"
    files = {"compose.yaml": compose, "docker/php/Dockerfile": "FROM php:8.3-apache\n"}
    code = {"composer.json": '{"require": {"laravel/framework": "12"}}', "artisan": "", "public/index.php": "<?php"}
    php = found({**files, **code})["php"]
    assert (php.framework, php.root, php.build and php.build.context) == ("laravel", ".", "docker/php")
    assert found({"docker/php/Dockerfile": "FROM php:8.3-apache\n", **files})["php"].language == "php", "by its image"
    inside = compose.replace("'.:/app'", "'./apps:/apps'") + "    working_dir: /apps/shop\n"
    node = {
        "apps/shop/package.json": EXPRESS,
        "apps/shop/index.js": SERVER["index.js"],
        "apps/mail/go.mod": "module a",
    }
    assert found({**files, **node, "compose.yaml": inside})["php"].root == "apps/shop"


def test_where_a_context_is_of_several_programs_each_is_where_its_dockerfile_is() -> None:
    files = {
        "src/compose.yml": "services:\n  shop:\n    build: {context: ., dockerfile: Shop/Dockerfile}\n",
        "src/Shop/Dockerfile": "FROM sdk\nCOPY . .\nENTRYPOINT dotnet Shop.dll\n",
        "src/Shop/Shop.csproj": WEB,
        "src/Mail/Mail.csproj": WEB,
    }
    assert [(c.name, c.root, c.language) for c in found(files).values()] == [("shop", "src/Shop", "c#")]
    crate = {"crates/shop/Cargo.toml": '[package]\nname = "shop"\n', "crates/shop/src/main.rs": "fn main() {}"}
    inside = found({**crate, "crates/shop/src/Dockerfile": "FROM rust\nCOPY crates/shop crates/shop\nCMD ./shop\n"})
    assert [(c.name, c.root) for c in inside.values()] == [("shop", "crates/shop")]


def test_the_stage_for_release_is_built_where_the_last_one_is_for_something_else() -> None:
    text = "FROM node:22 AS release\nEXPOSE 3000\nCMD node index.js\nFROM node:22 AS upload\nEXPOSE 9000\nCMD x\n"
    api = found({"package.json": EXPRESS, **SERVER, "Dockerfile": text})["api"]
    assert ([p.port for p in api.ports], api.build and api.build.target) == ([3000], "release")
    for last in (
        "FROM release AS slim",
        "FROM nginx AS slim\nCOPY --from=release / /",
        "FROM nginx",
        "FROM x AS prod",
    ):
        changed = found(
            {"package.json": EXPRESS, **SERVER, "Dockerfile": text.replace("FROM node:22 AS upload", last)}
        )
        assert [c.build and c.build.target for c in changed.values()] == [None], last
    declared = found({"Dockerfile": text, **SERVER, "compose.yaml": "services:\n  a:\n    build: .\n"})["a"]
    assert [p.port for p in declared.ports] == [9000], "whoever declares a build without a target means the last one"


def test_pages_of_a_generator_stay_its_own_whatever_starts_them() -> None:
    site = {"hugo.yaml": "baseURL: /", "content/a.md": "", "package.json": '{"scripts": {"test": "true"}}'}
    compose = "services:\n  site:\n    build: .\n    command: server\n    ports: [1313:1313]\n"
    page = found({**site, "Dockerfile": "FROM acme/hugo\n", "compose.yaml": compose})["site"]
    assert (page.framework, [p.port for p in page.ports], page.command) == ("hugo", [1313], ("server",))


def test_a_worker_shares_an_image_but_not_its_port() -> None:
    docker = "FROM ruby\nCOPY . .\nEXPOSE 3000\nCMD bin/all\n"
    files = {"Gemfile": "gem 'rails'\n", "config/application.rb": "", "Dockerfile": docker}
    components = found({**files, "Procfile": "web: bin/rails server\njobs: bin/rails runner bin/jobs.rb\n"})
    assert {name: [p.port for p in c.ports] for name, c in components.items() if not c.image} == {
        "web": [3000],
        "jobs": [],
    }


def test_helpers_of_an_application_that_serves_do_not_stand_for_it() -> None:
    files = {"Gemfile": "gem 'rails'\ngem 'sidekiq'\n", "config/application.rb": ""}
    assert set(found({**files, "Procfile": "jobs: bundle exec sidekiq\n"})) == {"web", "jobs", "redis"}
    bot = {"requirements.txt": "pika\n", "bot.py": "import pika\nwhile True: pass\n"}
    assert set(found({**bot, "Procfile": "bot: python bot.py\n"})) == {"bot", "rabbitmq"}


def test_an_example_of_the_settings_is_what_everybody_copies() -> None:
    compose = "services:\n  web:\n    build: .\n    profiles: [web]\n    ports: ['${PORT}:${PORT}', '3000:3000']\n"
    files = {"compose.yaml": compose, "Dockerfile": "FROM node:22\nCMD node index.js\n", **SERVER}
    assert [p.port for p in found({**files, ".env.example": "COMPOSE_PROFILES=web\n"})["web"].ports] == [3000]
    nameless = {**files, "compose.yaml": compose.replace("[web]", "['${WEB_PROFILE:-}']")}
    assert [p.port for p in found({**nameless, ".env.docker": "PORT=3000\n"})["web"].ports] == [3000]
    ports = found({**files, ".env": "COMPOSE_PROFILES=web\n", ".env.example": "PORT=4000\n"})["web"].ports
    assert [p.port for p in ports] == [3000], "what is there already counts alone"

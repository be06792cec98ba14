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


def test_an_example_of_the_settings_that_chooses_profiles_is_what_everybody_copies() -> None:
    compose = "services:\n  web:\n    build: .\n    profiles: [web]\n    ports: ['${PORT}:${PORT}', '3000:3000']\n"
    files = {"compose.yaml": compose, "Dockerfile": "FROM node:22\nCMD node index.js\n", **SERVER}
    assert [p.port for p in found({**files, ".env.example": "COMPOSE_PROFILES=web\n"})["web"].ports] == [3000]

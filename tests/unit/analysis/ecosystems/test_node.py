import json

import pytest

from iarnet.analysis.base import Profile
from iarnet.analysis.ecosystems.node import Node
from tests.unit.analysis.ecosystems.recognising import (
    ask,
    clue,
    codes,
    found,
    given,
    optional,
    package,
    port,
    required,
)

N = Node()
ANGULAR = json.dumps({"projects": {"shop": {"architect": {"build": {}}}}})
EXPRESS = "const app = require('express')()\napp.listen(process.env.PORT || 3001)\n"


def project(code: str = "", *packages: str, file: str = "index.js", **content: object) -> dict[str, str]:
    content = {"scripts": {"start": f"node {file}"}, **content}
    return {"package.json": package(dependencies=dict.fromkeys(packages, "1"), **content), file: code}


@pytest.mark.parametrize(
    "files", [{}, {"main.py": ""}, {"index.html": "", "main.js": "alert(1)"}, {"a/package.json": "{}"}]
)
def test_folders_of_another_kind(files: dict[str, str]) -> None:
    assert ask(N, files) is None


@pytest.mark.parametrize(
    ("packages", "framework", "kind", "opened"),
    [
        (("express",), "express", "api", 3001),
        (("koa",), "koa", "api", 3001),
        (("fastify",), "fastify", "api", 3001),
        (("@hapi/hapi",), "hapi", "api", 3001),
        (("hono", "@hono/node-server"), "hono", "api", 3001),
        ((), None, "api", 3001),
    ],
)
def test_servers(packages: tuple[str, ...], framework: str | None, kind: str, opened: int) -> None:
    profile = found(N, project(EXPRESS, *packages))
    assert (profile.framework, profile.kind, port(profile)) == (framework, kind, opened)
    assert (profile.start_command, given(profile)) == ("npm run start", {"PORT": "3001"})
    assert 'CMD ["node", "index.js"]' in (profile.recipe or "")
    assert clue(profile, "ports") == ("3001", "index.js", 2)


@pytest.mark.parametrize(
    ("name", "scripts", "more", "start", "opened"),
    [
        ("next", {"build": "next build", "start": "next start"}, {}, "npm run start", 3000),
        ("next", {"build": "next build", "start": "next start -p 3005"}, {}, "npm run start", 3005),
        ("next", {"dev": "next dev", "build": "next build"}, {}, "next start", 3000),
        ("nuxt", {"build": "nuxt build"}, {}, "node .output/server/index.mjs", 3000),
        ("@remix-run/react", {"build": "x", "start": "remix-serve ./build/index.js"}, {}, "npm run start", 3000),
        ("@sveltejs/kit", {"build": "x"}, {"svelte.config.js": "import 'adapter-node'"}, "node build", 3000),
        ("astro", {"build": "x"}, {"a.config.js": "import '@astrojs/node'"}, "node ./dist/server/entry.mjs", 4321),
        ("@nestjs/core", {"build": "x", "start": "nest start", "start:prod": "a"}, {}, "npm run start:prod", 3000),
        ("@nestjs/core", {"build": "nest build", "start": "nest start"}, {}, "node dist/main", 3000),
    ],
)  # fmt: skip
def test_frameworks_with_a_server(
    name: str, scripts: dict[str, str], more: dict[str, str], start: str, opened: int
) -> None:
    files = {"package.json": package(scripts=scripts, dependencies={name: "1"}), **more}
    profile = found(N, files)
    assert (profile.start_command, port(profile)) == (start, opened)
    assert given(profile).get("PORT", str(opened)) == str(opened)
    assert '"npm", "run", "build"' in (profile.recipe or "")


@pytest.mark.parametrize(
    ("name", "more", "output"),
    [
        ("vite", {}, "dist"),
        ("vite", {"vite.config.ts": "export default { build: { outDir: './web-out' } }"}, "web-out"),
        ("vite", {"vite.config.ts": "export default { build: { x: { y: 1 }, outDir: 'out' } }"}, "out"),
        ("vite", {"vite.config.ts": "export default { outDir: 'nowhere' }"}, "dist"),
        ("react-scripts", {}, "build"),
        ("@vue/cli-service", {}, "dist"),
        ("gatsby", {}, "public"),
        ("@docusaurus/core", {}, "build"),
        ("@11ty/eleventy", {}, "_site"),
        ("astro", {}, "dist"),
        ("next", {"app/page.jsx": "", "next.config.js": "module.exports = { output: 'export' }"}, "out"),
        ("@sveltejs/kit", {"svelte.config.js": "import a from '@sveltejs/adapter-static'"}, "build"),
        (
            "@angular/core",
            {"angular.json": json.dumps({"projects": {"shop": {"architect": {"build": {}}}}})},
            "dist/shop",
        ),
    ],
)
def test_frameworks_that_build_files(name: str, more: dict[str, str], output: str) -> None:
    files = {"package.json": package(scripts={"build": "x"}, devDependencies={name: "1"}), "index.html": "", **more}
    profile = found(N, files)
    assert (profile.kind, port(profile), profile.env) == ("static", 8080, ())
    assert f"COPY --from=build /app/{output} /usr/share/nginx/html" in (profile.recipe or "")
    assert profile.health
    assert profile.health.path == "/"


def test_without_a_build_script_the_framework_builds_itself() -> None:
    files = {"package.json": package(dependencies={"next": "14"}), "pages/index.jsx": ""}
    recipe = found(N, files).recipe or ""
    assert 'COPY . .\nRUN ["npx", "next", "build"]\nRUN ["npm", "prune", "--omit=dev"]' in recipe


def test_a_server_that_nx_builds_beside_pages() -> None:
    built = {"executor": "@nrwl/node:webpack", "options": {"outputPath": "dist/apps/api"}}
    files = {
        "package.json": package(scripts={"start": "nx serve", "build": "nx build"},
                                dependencies={"express": "4"}, devDependencies={"astro": "1", "nx": "14"}),
        "apps/api/project.json": json.dumps({"targets": {"build": built}}), "apps/api/src/main.ts": EXPRESS,
    }  # fmt: skip
    profile = found(N, files)
    assert (profile.framework, profile.start_command) == ("express", "node dist/apps/api/main.js")
    assert port(profile) == 3001


def test_the_script_says_where_the_files_go() -> None:
    scripts = {"build": "tsc -b && vite build --outDir out"}
    files = {"package.json": package(scripts=scripts, devDependencies={"vite": "6"}), "index.html": ""}
    assert "COPY --from=build /app/out /usr/share/nginx/html" in (found(N, files).recipe or "")


def test_a_page_with_a_server_of_its_own() -> None:
    files = {
        "package.json": package(scripts={"build": "x", "start": "node server.js"}, dependencies={"express": "4"},
                                devDependencies={"vite": "5"}),
        "index.html": "", "server.js": "const app = express()\napp.use(express.static('dist'))\napp.listen(4100)\n",
    }  # fmt: skip
    profile = found(N, files)
    assert (profile.framework, profile.kind, port(profile)) == ("express", "web", 4100)


def test_settings_of_a_page_are_arguments_of_its_build() -> None:
    files = {
        "package.json": package(scripts={"build": "vite build"}, devDependencies={"vite": "5"}),
        "index.html": "",
        "src/main.ts": "fetch(import.meta.env.VITE_API_URL ?? '/api'); console.log(import.meta.env.DEV)",
    }
    profile = found(N, files)
    assert optional(profile) == {"VITE_API_URL"}
    assert "ARG VITE_API_URL\nRUN" in (profile.recipe or "")


READS = """
const { DATABASE_URL, LEVEL = "info", NAME: name } = process.env;
const a = process.env.SOME || 'fallback', b = process.env["BRACKETS"] ?? 5, c = process.env.SURE!;
if (!process.env.CHECKED) { throw new Error('x') }
config.get<string>('NEST', 'x'); config.getOrThrow('NEST_SURE');
const schema = z.object({
  ZOD: z.string().url(),
  ZOD_OPTIONAL: z.string().optional(),
  ZOD_PORT: z.coerce.number().default(3030),
}).parse(process.env)
if (process.env.NODE_ENV === 'production') {}
"""


def test_settings_that_the_code_reads() -> None:
    files = project(READS, "express", "@prisma/client") | {"prisma/schema.prisma": 'url = env("PRISMA_URL")\n'}
    profile = found(N, files)
    assert required(profile) == {"SURE", "CHECKED", "NEST_SURE", "ZOD", "PRISMA_URL"}
    assert optional(profile) == {
        "DATABASE_URL", "LEVEL", "NAME", "SOME", "BRACKETS", "NEST", "ZOD_OPTIONAL", "ZOD_PORT",
    }  # fmt: skip
    assert clue(profile, "env.SOME") == ("fallback", "index.js", 3)
    assert clue(profile, "env.ZOD_PORT") == ("3030", "index.js", 9)


@pytest.mark.parametrize(
    ("code", "opened"),
    [
        ("app.listen(4001)", 4001),
        ("app.listen('4002', '0.0.0.0')", 4002),
        ("app.listen(Number(process.env.PORT) || 4003, () => {})", 4003),
        ("const port = parseInt(process.env.PORT ?? '4004', 10)\napp.listen(port)", 4004),
        ("const config = { port: process.env.PORT || 4005 }\nserver.listen(config.port)", 4005),
        ("app.set('port', process.env.PORT || 4006)\napp.listen(app.get('port'))", 4006),
        ("fastify.listen({ port: 4007, host: '0.0.0.0' })", 4007),
        ("const { PORT = 4008 } = process.env\napp.listen(PORT)", 4008),
        ("Bun.serve({ port: 4009, fetch() {} })", 4009),
        ("const wss = new WebSocketServer({ port: 4010 })", 4010),
        ("server.bindAsync('0.0.0.0:50051', creds)", 50051),
        ("app.listen(process.env.PORT)", 3000),
        ("emitter.listen(handler)", 3000),
    ],
)
def test_ports_in_code(code: str, opened: int) -> None:
    assert port(found(N, project(code, "express"))) == opened


@pytest.mark.parametrize(
    ("code", "path"),
    [
        ("app.get('/health', f)", "/health"),
        ("const web = express()\nweb.get('/healthz', f)", "/healthz"),
        ("router.get('/health', f)", None),
        ("if (req.url === '/ready') {}", "/ready"),
        ("@Controller('health')\nclass H {\n  @Get()\n  f() {}\n}\napp.setGlobalPrefix('api')", "/api/health"),
        ("app.get('/articles', f)", None),
    ],
)
def test_health_routes(code: str, path: str | None) -> None:
    profile = found(N, project(code + "\napp.listen(1234)", "express"))
    assert (profile.health.path if profile.health else None) == path


def test_a_file_that_is_a_route() -> None:
    files = {"package.json": package(dependencies={"next": "1"}), "src/app/api/health/route.ts": ""}
    health = found(N, files).health
    assert health
    assert (health.path, health.port) == ("/api/health", 3000)


def test_fastify_without_a_host_is_on_loopback() -> None:
    assert codes(found(N, project("app.listen({ port: 3000 })", "fastify"))) == ["loopback"]
    assert codes(found(N, project("app.listen({ port: 3000, host: '::' })", "fastify"))) == []


@pytest.mark.parametrize(
    ("files", "steps"),
    [
        ({"package-lock.json": "{}"}, ['"npm", "ci"']),
        ({}, ['"npm", "install"']),
        ({"yarn.lock": "# yarn lockfile v1"}, ['"yarn@1"', '"yarn", "install", "--frozen-lockfile"']),
        ({"yarn.lock": "__metadata:\n  version: 8"}, ['"@yarnpkg/cli-dist@4"', '"yarn", "install", "--immutable"']),
        ({"pnpm-lock.yaml": "lockfileVersion: '6.0'"}, ['"pnpm@8"', '"pnpm", "install", "--frozen-lockfile"']),
        ({"pnpm-lock.yaml": "lockfileVersion: '9.0'"}, ['"pnpm@9"']),
        ({"bun.lockb": "x"}, ['"bun@1"', '"bun", "install", "--frozen-lockfile"']),
    ],
)
def test_the_package_manager_and_its_lock_are_honoured(files: dict[str, str], steps: list[str]) -> None:
    recipe = found(N, project(EXPRESS, "express") | files).recipe or ""
    assert all(step in recipe for step in steps)
    assert recipe.index(steps[-1]) < recipe.index("COPY . .")


def test_package_manager_of_the_manifest_wins_over_the_lock() -> None:
    files = project(EXPRESS, "express", packageManager="pnpm@10.1.0+sha1.x") | {"package-lock.json": "{}"}
    assert '"pnpm@10"' in (found(N, files).recipe or "")


def test_scripts_that_run_on_installation_need_all_files() -> None:
    scripts = {"start": "node index.js", "postinstall": "node setup.js"}
    recipe = found(N, project(EXPRESS, "express", scripts=scripts)).recipe or ""
    assert recipe.index("COPY . .") < recipe.index('"npm", "install"')


@pytest.mark.parametrize(
    ("wish", "version"),
    [("20", 20), ("v20.11.1", 20), (">=18", 22), ("18.x || 20.x", 20), ("^20", 20), (">=23", 24), ("lts/iron", 20),
     ("16", 18), ("*", 22), (">=18 <21", 18), ("99", 24)],
)  # fmt: skip
def test_versions(wish: str, version: int) -> None:
    recipe = found(N, project(EXPRESS, "express", engines={"node": wish})).recipe or ""
    assert recipe.startswith(f"FROM node:{version}-slim AS build\n")


@pytest.mark.parametrize(
    ("scripts", "command"),
    [
        (
            {"start": "NODE_ENV=production node index.js"},
            'CMD ["/bin/sh", "-c", "exec env NODE_ENV=production node index.js"]',
        ),
        ({"start": "node a.js && node index.js"}, 'CMD ["/bin/sh", "-c", "node a.js && exec node index.js"]'),
        ({"start": "nodemon index.js"}, 'CMD ["node", "index.js"]'),
        ({"start": "npm run serve", "serve": "node index.js"}, 'CMD ["node", "index.js"]'),
        ({"start": "node index.js", "prestart": "node a.js"}, 'CMD ["npm", "run", "start"]'),
        ({"start": "ts-node index.ts"}, 'CMD ["ts-node", "index.ts"]'),
    ],
)
def test_scripts_come_down_to_their_program(scripts: dict[str, str], command: str) -> None:
    profile = found(N, project(EXPRESS, "express", scripts=scripts))
    assert command in (profile.recipe or "")
    assert profile.start_command == "npm run start"


def test_what_the_program_needs_at_run_time_is_not_pruned() -> None:
    scripts = {"start": "ts-node index.ts", "build": "x"}
    kept = found(N, project(EXPRESS, "express", scripts=scripts, devDependencies={"ts-node": "1"})).recipe or ""
    assert "prune" not in kept
    pruned = found(N, project(EXPRESS, "express", scripts={"start": "node index.js", "build": "tsc"})).recipe or ""
    assert '"npm", "prune", "--omit=dev"' in pruned


def test_what_only_tests_need_is_not_downloaded() -> None:
    recipe = found(N, project(EXPRESS, "express", devDependencies={"cypress": "10"})).recipe or ""
    assert "ARG CYPRESS_INSTALL_BINARY=0\n" in recipe.split("RUN")[0]


@pytest.mark.parametrize(
    ("configuration", "command"),
    [
        ({"turbo.json": "{}"}, 'COPY . .\nRUN ["npx", "turbo", "run", "build", "--filter=web..."]\nWORKDIR'),
        ({}, 'WORKDIR /app/apps/web\nRUN ["npm", "run", "build"]'),
    ],
)
def test_turbo_builds_what_it_is_configured_for(configuration: dict[str, str], command: str) -> None:
    top = package(workspaces=["apps/*"], devDependencies={"turbo": "2"})
    member = package(name="web", scripts={"build": "next build"}, dependencies={"next": "14"})
    files = {"package.json": top, "apps/web/package.json": member, "apps/web/pages/index.js": "", **configuration}
    assert command in (found(N, files, "apps/web").recipe or "")


def test_a_manager_that_the_code_calls_is_there_at_run_time() -> None:
    lock = {"pnpm-lock.yaml": "lockfileVersion: '9.0'\n"}
    calls = "import { execSync } from 'child_process'\nexecSync('pnpm --version')\n" + EXPRESS
    for code, there in ((calls, True), (EXPRESS, False)):
        last = (found(N, project(code, "express") | lock).recipe or "").split("\n\n")[-1]
        assert ('"--global", "--force", "pnpm@' in last) == there


@pytest.mark.parametrize(
    ("files", "start"),
    [
        ({"package.json": package(main="lib/web.js"), "lib/web.js": EXPRESS}, "node lib/web.js"),
        ({"package.json": package(dependencies={"express": "4"}), "src/server.js": EXPRESS}, "node src/server.js"),
        ({"package.json": package(), "src/index.ts": "serve({ fetch, port: 3000 })"}, "tsx src/index.ts"),
        ({"server.js": "require('http').createServer().listen(80)"}, "node server.js"),
    ],
)
def test_programs_without_a_start_script(files: dict[str, str], start: str) -> None:
    profile = found(N, files)
    assert (profile.start_command, profile.runnable) == (start, True)
    # Where no manager of the project's own packages takes it away again.
    adds = 'RUN ["npm", "install", "--global", "tsx"]\nWORKDIR /app' in (profile.recipe or "").split("\n\n")[-1]
    assert adds == start.startswith("tsx ")


def test_a_worker_beside_the_server() -> None:
    files = project(EXPRESS, "express", "bullmq", scripts={"start": "node index.js", "worker": "node worker.js"})
    profile = found(N, files | {"worker.js": "new Worker('q')"})
    assert [(w.kind, w.start_command, w.ports) for w in profile.workers] == [("worker", "npm run worker", ())]


@pytest.mark.parametrize(
    ("start", "kind", "opened"),
    [
        ("node worker.js", "worker", None),
        ("npm run worker", "worker", None),
        ("node index.js --port 5005", "api", 5005),
        ("npx prisma migrate deploy", "job", None),
    ],
)
def test_a_declared_command_decides(start: str, kind: str, opened: int | None) -> None:
    files = project(EXPRESS, "express", scripts={"start": "node index.js", "worker": "node worker.js"})
    profile = found(N, files, start=start)
    assert (profile.kind, profile.start_command, port(profile)) == (kind, start, opened)


def workspace(**more: str) -> dict[str, str]:
    return {
        "package.json": package(name="all", workspaces=["apps/*", "packages/*"]),
        "package-lock.json": "{}",
        "apps/api/package.json": package(
            name="@all/api", scripts={"start": "node index.js"}, dependencies={"express": "4"}
        ),
        "apps/api/index.js": EXPRESS,
        "packages/lib/package.json": package(name="@all/lib", main="index.js"),
        "packages/lib/index.js": "module.exports = 1\n",
        **more,
    }


def test_members_of_a_workspace_are_built_from_its_root() -> None:
    profile = found(N, workspace(), "apps/api")
    recipe = profile.recipe or ""
    assert (profile.root, profile.context) == ("apps/api", ".")
    assert 'COPY ["packages/lib/package.json", "packages/lib/package.json"]' in recipe
    assert '"npm", "ci"' in recipe
    assert "WORKDIR /app/apps/api" in recipe


def test_the_root_of_a_workspace_and_its_libraries_do_not_run() -> None:
    def runs(root: str) -> bool:
        profile: Profile = found(N, workspace(), root)
        return profile.runnable

    assert [runs("."), runs("packages/lib"), runs("apps/api")] == [False, False, True]


def test_pnpm_builds_what_a_member_depends_on_first() -> None:
    files = workspace(
        **{"pnpm-workspace.yaml": "packages:\n  - 'apps/*'\n", "pnpm-lock.yaml": "lockfileVersion: '9.0'"}
    )
    files["apps/api/package.json"] = package(name="@all/api", scripts={"start": "node i.js", "build": "tsc"})
    assert '"pnpm", "--filter", "@all/api...", "run", "build"' in (found(N, files, "apps/api").recipe or "")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"scripts": 5, "dependencies": ["a"], "workspaces": 7}', "\x00"]
)
def test_broken_manifests(text: str) -> None:
    profile = found(N, {"package.json": text})
    assert not profile.runnable
    assert profile.start_command is None


def test_a_published_package_alone_is_started_by_the_file_that_opens_a_port() -> None:
    library = {"package.json": package(main="src/index.ts", files=["dist"]), "src/index.ts": "export const a = 1\n"}
    profile = found(N, {**library, "server.js": "require('http').createServer().listen(7777)\n"})
    assert (profile.start_command, port(profile), profile.language) == ("node server.js", 7777, "javascript")
    assert not found(N, {**library, "server.js": "module.exports = 1\n"}).runnable
    beside = {"other/package.json": "{}", "server.js": "require('http').createServer().listen(7777)\n"}
    assert not found(N, {**library, **beside}).runnable

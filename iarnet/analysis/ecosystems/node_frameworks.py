"""The frameworks of the Node world: how each is recognised, built, started or served."""

import re
from dataclasses import dataclass

from iarnet.analysis.base import Files
from iarnet.analysis.ecosystems import commands
from iarnet.analysis.ecosystems.manifests import join, read_json, table, text_at
from iarnet.analysis.ecosystems.node_manifests import NodeProject
from iarnet.analysis.ecosystems.notes import Notes
from iarnet.analysis.recipes.static import Site

SPA = Site(fallback="/index.html")


@dataclass(frozen=True)
class Framework:
    """`pages`: it serves pages to people. `honours`: settings that its own server obeys, `{port}` filled in.
    `build`: its own command, for projects whose scripts name none."""

    name: str
    markers: tuple[str, ...]
    port: int = 3000
    pages: bool = False
    honours: tuple[tuple[str, str], ...] = ()
    build: str = ""


@dataclass(frozen=True)
class Delivery:
    """How a built project runs: `output` is served as files, or `start` is run."""

    output: str | None = None
    site: Site | None = None
    start: str | None = None
    port: int | None = None
    warning: str | None = None
    adds: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    """Of the build, as `NAME=value`."""


_PORT = (("PORT", "{port}"),)
_HOST_PORT = (("HOST", "0.0.0.0"), *_PORT)

_TANSTACK = ("@tanstack/react-start", "@tanstack/solid-start", "@tanstack/start")

# Those that build pages first: many of their projects hold a server library, too.
FRAMEWORKS = (
    Framework("next", ("next",), pages=True, honours=(("HOSTNAME", "0.0.0.0"), *_PORT), build="next build"),
    Framework("nuxt", ("nuxt", "nuxt3", "nuxt-edge"), pages=True, honours=_HOST_PORT, build="nuxt build"),
    Framework("tanstack-start", _TANSTACK, pages=True, honours=_HOST_PORT, build="vite build"),
    Framework("remix", ("@remix-run/react", "@remix-run/node", "@react-router/dev"), pages=True, honours=_PORT),
    Framework("sveltekit", ("@sveltejs/kit",), pages=True, honours=_HOST_PORT, build="vite build"),
    Framework("astro", ("astro",), port=4321, pages=True, honours=_HOST_PORT, build="astro build"),
    Framework("gatsby", ("gatsby",), pages=True, build="gatsby build"),
    Framework("docusaurus", ("@docusaurus/core",), pages=True, build="docusaurus build"),
    Framework("vitepress", ("vitepress",), pages=True),
    Framework("eleventy", ("@11ty/eleventy",), pages=True, build="eleventy"),
    Framework("expo", ("expo",), pages=True),
    Framework("solid-start", ("@solidjs/start", "solid-start"), pages=True, honours=_HOST_PORT),
    Framework("ember", ("ember-cli",), port=4200, pages=True),
    Framework("vuepress", ("vuepress",), pages=True),
    Framework("hexo", ("hexo",), port=4000, pages=True),
    Framework("stencil", ("@stencil/core",), port=3333, pages=True),
    Framework("umi", ("umi", "@umijs/max"), pages=True),
    Framework("preact", ("preact-cli", "wmr"), pages=True),
    Framework("brunch", ("brunch",), port=3333, pages=True),
    Framework("sanity", ("sanity",), port=3333, pages=True),
    Framework("angular", ("@angular/core",), port=4000, pages=True, honours=_PORT, build="ng build"),
    Framework("create-react-app", ("react-scripts",), pages=True, build="react-scripts build"),
    Framework("vue-cli", ("@vue/cli-service",), pages=True, build="vue-cli-service build"),
    Framework("nest", ("@nestjs/core",)),
    Framework("fastify", ("fastify",)),
    Framework("hono", ("hono",)),
    Framework("nitro", ("nitropack", "nitro"), pages=True, honours=_HOST_PORT),
    Framework("koa", ("koa",)),
    Framework("hapi", ("@hapi/hapi",)),
    Framework("express", ("express",)),
    Framework("apollo", ("@apollo/server", "apollo-server"), port=4000),
    Framework("vite", ("vite",), pages=True, build="vite build"),
    Framework("parcel", ("parcel", "parcel-bundler"), port=1234, pages=True),
    Framework("webpack", ("webpack-dev-server",), pages=True),
)
BUNDLERS = ("vite", "parcel", "webpack")
"""Which may as well build a part of a server."""
SERVERS = ("nest", "fastify", "hono", "koa", "hapi", "express", "apollo")
_DEVELOPMENT = re.compile(
    r"^(?:vite|next dev|nuxt dev|nuxi dev|astro dev|ng serve|react-scripts start|vue-cli-service serve|gatsby develop"
    r"|docusaurus start|vitepress dev|webpack(?:-dev-server| serve)"
    r"|expo start|ember (?:s|serve|server)|hexo server|vuepress dev|stencil build|umi dev|max dev|brunch watch"
    r"|wmr|preact watch|vinxi (?:dev|start)|nitro(?:pack)? dev|sanity (?:dev|start)"
    r"|parcel|nest start|remix dev|remix vite:dev"
    r"|svelte-kit dev|react-router dev|vite dev|npm run dev|yarn dev|pnpm (?:run )?dev|eleventy"
    r"|npx @11ty/eleventy)\b(?! preview)"
)


def detect(files: Files, project: NodeProject) -> Framework | None:
    found = [f for f in FRAMEWORKS if project.everything & set(f.markers) and _makes_pages(files, f, project)]
    server = next((f for f in found if f.name in SERVERS), None)
    if (found and found[0].name == "vite") or not server:
        return found[0] if found else None
    # A single-page application that a server of the same package delivers is a server.
    return (
        server
        if found[0].name in ("create-react-app", "vue-cli", "angular") and not is_development(project)
        else found[0]
    )


def server_of(project: NodeProject) -> Framework | None:
    """The library that a server of the project is written with, whatever else the project holds."""
    return next((f for f in FRAMEWORKS if f.name in SERVERS and project.everything & set(f.markers)), None)


def _makes_pages(files: Files, framework: Framework, project: NodeProject) -> bool:
    """Expo makes programs for telephones unless it is told otherwise, bundlers anything; a library of parts for Next
    has no pages itself."""
    if framework.name == "expo":
        return any("expo export" in script for script in project.scripts.values())
    if framework.name == "next":
        told = any(re.search(r"\bnext\b", script) for script in project.scripts.values())
        return told or any(files.paths(join(project.root, folder), 3) for folder in _NEXT_PAGES)
    if framework.name == "vite":
        return not _LIBRARY.search(config_of(files, project.root)) and bool(_pages_of(files, project.root))
    if framework.name == "webpack" and "html-webpack-plugin" in project.everything:
        return is_development(project)
    return framework.name not in BUNDLERS or (is_development(project) and "start" in project.scripts)


_NEXT_PAGES = ("app", "pages", "src/app", "src/pages")
_LIBRARY = re.compile(r"\blib\s{0,9}:\s{0,9}\{")


def _pages_of(files: Files, root: str) -> list[str]:
    """Pages that a bundler starts from."""
    return files.named(("index.html",), root, 3)


def is_development(project: NodeProject) -> bool:
    """The `start` script starts a server for developers, or there is none."""
    start = project.scripts.get("start", "")
    return not start or bool(_DEVELOPMENT.match(re.sub(r"^(?:cross-env\s+)?(?:\w+=\S+\s+)*", "", start)))


def delivery(files: Files, project: NodeProject, framework: Framework) -> Delivery:
    """What the framework's own conventions and configuration say; empty for a server with a start script."""
    config = config_of(files, project.root)
    if convention := _CONVENTIONS.get(framework.name):
        return convention(project, config)
    if framework.name == "angular":
        return _angular(files, project)
    if framework.name == "vite":
        told = re.search(r"--outDir[= ][\"']?\.?/?([\w./-]+)", project.scripts.get("build", ""))
        found = told or _OUT_DIR.search(config)
        return Delivery(output=(found[1] if found else "dist"), site=SPA)
    if framework.name in ("vitepress", "vuepress"):
        folder = next((f"{name}/" for name in ("docs", "src") if files.paths(join(project.root, name), 1)), "")
        return Delivery(output=f"{folder}.{framework.name}/dist", site=Site())
    output, site = _OUTPUTS.get(framework.name, (None, None))
    # With CI set it takes each warning of its linter for an error, which no developer's machine does.
    settings = ("CI=false",) if framework.name == "create-react-app" else ()
    return Delivery(output=output, site=site, settings=settings)


# Below `build`, where alone it counts.
_OUT_DIR = re.compile(
    r"\bbuild\s{0,9}:\s{0,9}\{(?:[^{}]|\{[^{}]{0,500}\}){0,500}?\boutDir\s{0,9}:\s{0,9}[\"']\.?/?([\w./-]+)[\"']"
)
_OUTPUTS = {
    "gatsby": ("public", Site()),
    "docusaurus": ("build", Site()),
    "eleventy": ("_site", Site()),
    "create-react-app": ("build", SPA),
    "vue-cli": ("dist", SPA),
    "expo": ("dist", SPA),
    "webpack": ("dist", SPA),
    "parcel": ("dist", SPA),
    "ember": ("dist", SPA),
    "hexo": ("public", Site()),
    "stencil": ("www", SPA),
    "umi": ("dist", SPA),
    "preact": ("build", SPA),
    "brunch": ("public", SPA),
    "sanity": ("dist", SPA),
}


def declared_port(files: Files, project: NodeProject) -> int | None:
    """What the project's scripts, settings and configuration say for its developers: people know it by that port."""
    scripts = (project.scripts.get(name, "") for name in ("start", "serve", "preview", "dev"))
    said = [commands.port_in(script) for script in scripts]
    said += [_port_at(_ENV_PORT, files.text(join(project.root, name))) for name in (".env", ".env.production")]
    said.append(_port_at(_CONFIG_PORT, config_of(files, project.root)))
    said.append(_port_at(_JSON_PORT, files.text(join(project.root, "angular.json"))))
    return next((port for port in said if port and port >= UNPRIVILEGED), None)


UNPRIVILEGED = 1024
_ENV_PORT = re.compile(r"^PORT[ \t]*=[ \t]*[\"']?(\d{2,5})\b", re.MULTILINE)
_CONFIG_PORT = re.compile(r"\b(?:dev)?[sS]erver\s{0,9}:\s{0,9}\{[^{}]{0,400}?\bport\s{0,9}:\s{0,9}(\d{2,5})\b")
_JSON_PORT = re.compile(r"\"serve\"[^{]{0,40}\{[^{}]{0,400}\{[^{}]{0,400}?\"port\":\s{0,9}(\d{2,5})\b")


def _port_at(expression: re.Pattern[str], text: str | None) -> int | None:
    found = expression.search((text or "")[:200_000])
    return int(found[1]) if found and int(found[1]) < 65536 else None


def config_of(files: Files, root: str) -> str:
    """The text of all `*.config.*` files of the folder."""
    texts = [files.text(path) or "" for path in files.paths(root, 1) if re.search(r"\.config\.[cm]?[jt]s$", path)]
    return "\n".join(texts)[:200_000]


def _next(project: NodeProject, config: str) -> Delivery:
    if re.search(r"output\s*:\s*[\"']export[\"']", config):
        return Delivery(output="out", site=Site())
    return Delivery(start="next start")


def _nuxt(project: NodeProject, config: str) -> Delivery:
    if "nuxt generate" in project.scripts.get("build", "") or "nuxi generate" in project.scripts.get("build", ""):
        return Delivery(output=".output/public", site=Site())
    return Delivery(start="node .output/server/index.mjs")


def _remix(project: NodeProject, config: str) -> Delivery:
    if re.search(r"ssr\s*:\s*false", config):
        return Delivery(output="build/client", site=SPA)
    serve = "react-router-serve" if "@react-router/dev" in project.everything else "remix-serve"
    return Delivery(start=f"{serve} ./build/server/index.js")


def _sveltekit(project: NodeProject, config: str) -> Delivery:
    if "adapter-static" in config:
        fallback = re.search(r"fallback\s*:\s*[\"']([\w./-]+)[\"']", config)
        return Delivery(output="build", site=Site(f"/{fallback[1]}" if fallback else None))
    if "adapter-node" in config:
        return Delivery(start="node build")
    if "adapter-auto" in config or "adapter-auto" in " ".join(project.everything):
        # It asks its surroundings which adapter to use; this is what it takes for Node's own.
        return Delivery(start="node build", settings=("GCP_BUILDPACKS=1",))
    message = (
        "this SvelteKit adapter makes nothing that runs by itself, so vite's preview serves it; adapter-node would do"
    )
    return Delivery(start="vite preview --host 0.0.0.0 --port 4173", port=4173, warning=message)


def _nitro(project: NodeProject, config: str) -> Delivery:
    return Delivery(start="node .output/server/index.mjs")


def _tanstack(project: NodeProject, config: str) -> Delivery:
    """With Nitro a server of its own, without it a handler for which one is needed."""
    if "nitro" in config or "nitro" in project.everything or "vinxi" in project.everything:
        return Delivery(start="node .output/server/index.mjs")
    return Delivery(start="srvx --prod -s ../client dist/server/server.js", adds=("srvx",))


def _astro(project: NodeProject, config: str) -> Delivery:
    if "@astrojs/node" in config:
        return Delivery(start="node ./dist/server/entry.mjs")
    return Delivery(output="dist", site=Site())


_CONVENTIONS = {"next": _next, "nuxt": _nuxt, "remix": _remix, "sveltekit": _sveltekit, "astro": _astro,
                "tanstack-start": _tanstack, "solid-start": _nitro, "nitro": _nitro}  # fmt: skip


def _angular(files: Files, project: NodeProject) -> Delivery:
    """The output path of the first application in `angular.json`, in the layout of its builder."""
    projects = table(read_json(files, join(project.root, "angular.json"), Notes()), "projects")
    name, settings = next(iter(projects.items()), ("app", {}))
    build = table(settings, "architect", "build") or table(settings, "targets", "build")
    path = (
        text_at(build, "options", "outputPath") or text_at(build, "options", "outputPath", "base") or f"dist/{name}"
    )
    modern = (text_at(build, "builder") or "").endswith(":application")
    if "@angular/ssr" in project.everything and table(build, "options").get("ssr"):
        return Delivery(start=f"node {path}/server/server.mjs")
    return Delivery(output=f"{path}/browser" if modern else path, site=SPA)

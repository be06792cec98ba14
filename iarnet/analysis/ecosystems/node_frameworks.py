"""The frameworks of the Node world: how each is recognised, built, started or served."""

import re
from dataclasses import dataclass

from iarnet.analysis.base import Files
from iarnet.analysis.ecosystems.manifests import join, read_json, table, text_at
from iarnet.analysis.ecosystems.node_manifests import NodeProject
from iarnet.analysis.ecosystems.notes import Notes
from iarnet.analysis.recipes.static import Site

SPA = Site(fallback="/index.html")


@dataclass(frozen=True)
class Framework:
    """`pages`: it serves pages to people. `honours`: settings that its own server obeys, `{port}` filled in."""

    name: str
    markers: tuple[str, ...]
    port: int = 3000
    pages: bool = False
    honours: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Delivery:
    """How a built project runs: `output` is served as files, or `start` is run."""

    output: str | None = None
    site: Site | None = None
    start: str | None = None
    port: int | None = None
    warning: str | None = None


_PORT = (("PORT", "{port}"),)
_HOST_PORT = (("HOST", "0.0.0.0"), *_PORT)

# Those that build pages first: many of their projects hold a server library, too.
FRAMEWORKS = (
    Framework("next", ("next",), pages=True, honours=(("HOSTNAME", "0.0.0.0"), *_PORT)),
    Framework("nuxt", ("nuxt", "nuxt3", "nuxt-edge"), pages=True, honours=_HOST_PORT),
    Framework("remix", ("@remix-run/react", "@remix-run/node", "@react-router/dev"), pages=True, honours=_PORT),
    Framework("sveltekit", ("@sveltejs/kit",), pages=True, honours=_HOST_PORT),
    Framework("astro", ("astro",), port=4321, pages=True, honours=_HOST_PORT),
    Framework("gatsby", ("gatsby",), pages=True),
    Framework("docusaurus", ("@docusaurus/core",), pages=True),
    Framework("vitepress", ("vitepress",), pages=True),
    Framework("eleventy", ("@11ty/eleventy",), pages=True),
    Framework("angular", ("@angular/core",), port=4000, pages=True, honours=_PORT),
    Framework("create-react-app", ("react-scripts",), pages=True),
    Framework("vue-cli", ("@vue/cli-service",), pages=True),
    Framework("nest", ("@nestjs/core",)),
    Framework("fastify", ("fastify",)),
    Framework("hono", ("hono",)),
    Framework("koa", ("koa",)),
    Framework("hapi", ("@hapi/hapi",)),
    Framework("express", ("express",)),
    Framework("apollo", ("@apollo/server", "apollo-server"), port=4000),
    Framework("vite", ("vite",), pages=True),
)
SERVERS = ("nest", "fastify", "hono", "koa", "hapi", "express", "apollo")
_DEVELOPMENT = re.compile(
    r"^(?:vite|next dev|nuxt dev|nuxi dev|astro dev|ng serve|react-scripts start|vue-cli-service serve|gatsby develop"
    r"|docusaurus start|vitepress dev|webpack(?:-dev-server| serve)|parcel|nest start|remix dev|remix vite:dev"
    r"|svelte-kit dev|react-router dev|vite dev|npm run dev|yarn dev|pnpm (?:run )?dev|eleventy"
    r"|npx @11ty/eleventy)\b(?! preview)"
)


def detect(project: NodeProject) -> Framework | None:
    found = [framework for framework in FRAMEWORKS if project.everything & set(framework.markers)]
    server = next((f for f in found if f.name in SERVERS), None)
    if (found and found[0].name == "vite") or not server:
        return found[0] if found else None
    # A single-page application that a server of the same package delivers is a server.
    return (
        server
        if found[0].name in ("create-react-app", "vue-cli", "angular") and not is_development(project)
        else found[0]
    )


def is_development(project: NodeProject) -> bool:
    """The `start` script starts a server for developers, or there is none."""
    start = project.scripts.get("start", "")
    return not start or bool(_DEVELOPMENT.match(re.sub(r"^(?:cross-env\s+)?(?:\w+=\S+\s+)*", "", start)))


def delivery(files: Files, project: NodeProject, framework: Framework) -> Delivery:
    """What the framework's own conventions and configuration say; empty for a server with a start script."""
    config = _config(files, project.root)
    if convention := _CONVENTIONS.get(framework.name):
        return convention(project, config)
    if framework.name == "angular":
        return _angular(files, project)
    if framework.name == "vite":
        found = re.search(r"outDir\s*:\s*[\"']\.?/?([\w./-]+)[\"']", config)
        return Delivery(output=(found[1] if found else "dist"), site=SPA)
    if framework.name == "vitepress":
        folder = "docs/" if files.paths(join(project.root, "docs"), 1) else ""
        return Delivery(output=f"{folder}.vitepress/dist", site=Site())
    output, site = _OUTPUTS.get(framework.name, (None, None))
    return Delivery(output=output, site=site)


_OUTPUTS = {
    "gatsby": ("public", Site()),
    "docusaurus": ("build", Site()),
    "eleventy": ("_site", Site()),
    "create-react-app": ("build", SPA),
    "vue-cli": ("dist", SPA),
}


def _config(files: Files, root: str) -> str:
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
    message = (
        "this SvelteKit adapter makes nothing that runs by itself, so vite's preview serves it; adapter-node would do"
    )
    return Delivery(start="vite preview --host 0.0.0.0 --port 4173", port=4173, warning=message)


def _astro(project: NodeProject, config: str) -> Delivery:
    if "@astrojs/node" in config:
        return Delivery(start="node ./dist/server/entry.mjs")
    return Delivery(output="dist", site=Site())


_CONVENTIONS = {"next": _next, "nuxt": _nuxt, "remix": _remix, "sveltekit": _sveltekit, "astro": _astro}


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

""".NET: C#, F#, Visual Basic; ASP.NET Core, workers, console programs."""

import re
from dataclasses import replace
from posixpath import basename, dirname, normpath
from xml.etree.ElementTree import Element

from iarnet.analysis.base import Files, Profile
from iarnet.analysis.ecosystems.manifests import join, line_of, names, read_xml
from iarnet.analysis.ecosystems.notes import Notes
from iarnet.analysis.ecosystems.program import Framework, Outline, chosen, library, profile
from iarnet.analysis.ecosystems.signs import Signs, read_signs
from iarnet.analysis.recipes.dotnet import DotnetBuild, dotnet_recipe
from iarnet.models.component import ComponentKind

LANGUAGES = {".csproj": "c#", ".fsproj": "f#", ".vbproj": "vb"}
DEFAULT_VERSION = "8.0"
_URLS = (("ASPNETCORE_URLS", "http://0.0.0.0:{port}"),)
FRAMEWORKS = (
    Framework("blazor", ("microsoft.aspnetcore.components.webassembly.server",), pages=True, honours=_URLS),
    Framework("giraffe", ("giraffe",), honours=_URLS),
    Framework("grpc", ("grpc.aspnetcore",), protocol="grpc", honours=_URLS),
    Framework("aspnetcore", ("microsoft.net.sdk.web", "microsoft.aspnetcore.app", "microsoft.aspnetcore.all"),
              honours=_URLS),
    Framework("worker", ("microsoft.net.sdk.worker",), None),
)  # fmt: skip
_TESTS = ("microsoft.net.test.sdk", "xunit", "nunit", "mstest.testframework")
_VARIABLE = (
    r"(?:Environment\.GetEnvironmentVariable\(\s{0,20}\"(?=[A-Za-z_])|[cC]onfiguration\[\"(?=[A-Z0-9_]{1,80}\"))"
    r"(?P<name>\w{1,80})\"\s{0,20}[\])]"
)
SIGNS = Signs(
    (".cs", ".fs", ".vb"),
    re.compile(rf"{_VARIABLE}(?:\s{{0,20}}\?\?\s{{0,20}}\"(?P<default>[^\"\n]{{0,200}})\")?"),
    listen=re.compile(
        r"(?:UseUrls|\.Run|ListenAnyIP|\.Listen|HttpListener\.Prefixes\.Add|TcpListener|Urls\.Add)\((?P<at>[^\n;]{1,160})"
    ),
    route=re.compile(r"(?:MapGet|MapHealthChecks|UseHealthChecks)\(\s{0,20}\"(?P<path>/[\w/-]{1,60})\""),
    pages=re.compile(
        r"AddRazorPages|AddControllersWithViews|MapRazorPages|AddServerSideBlazor|AddRazorComponents|AddMvc\(|UseStaticFiles"
    ),
    waits=re.compile(
        r"BackgroundService|IHostedService|while\s{0,20}\(\s{0,20}true\s{0,20}\)|Thread\.Sleep\(Timeout"
    ),
)
_ENTRY = re.compile(
    r"static\s{1,20}(?:async\s{1,20})?(?:void|int|Task(?:<int>)?)\s{1,20}Main\s{0,20}\(|\[<EntryPoint>\]|Sub Main\("
    r"|WebApplication\.Create"
)


class Dotnet:
    name = "dotnet"

    def recognise(self, files: Files, root: str, start: str | None = None) -> Profile | None:
        found = sorted(name for name in names(files, root) if name.endswith(tuple(LANGUAGES)))
        if not found:
            return None
        notes, manifest = Notes(), join(root, found[0])
        document = read_xml(files, manifest, notes)
        language = LANGUAGES[found[0][found[0].rindex(".") :]]
        dependencies = _dependencies(files, manifest, document)
        code = read_signs(files, root, SIGNS, ())
        entry = code.find(_ENTRY, [join(root, f"Program{suffix}") for suffix in SIGNS.suffixes])
        program = _runs(document, dependencies) or (
            entry is not None and document is not None and "Sdk" not in document.attrib
        )
        if not program or any(name in dependencies for name in _TESTS):
            return library(root, language, dependencies, notes)
        name = _property(document, "AssemblyName") or found[0].rpartition(".")[0]
        framework = chosen(FRAMEWORKS, dependencies)
        context = _context(root, document)
        build = DotnetBuild(_version(files, manifest, document, notes), f"dotnet {name}.dll", name, manifest, context,
                            web=framework is not None and framework.port is not None)  # fmt: skip
        outline = Outline(
            root,
            language,
            manifest,
            build.start,
            framework=framework,
            file=entry[0] if entry else manifest,
            line=entry[1] if entry else None,
            seen=code.seen,
            dependencies=_plain(_reached(files, manifest, document) | dependencies),
            kind=_kind(framework),
            waits=code.waits,
            context=context,
            recipe=lambda port, env: dotnet_recipe(replace(build, port=port, env=env)),
        )
        return profile(outline, notes)


def _kind(framework: Framework | None) -> ComponentKind | None:
    return "worker" if framework and framework.port is None else None


def _all(document: Element | None, tag: str) -> list[Element]:
    return (
        [e for e in document.iter() if isinstance(e.tag, str) and e.tag.rpartition("}")[2] == tag]
        if document is not None
        else []
    )


def _property(document: Element | None, name: str) -> str | None:
    return next((e.text.strip() for e in _all(document, name) if e.text and "$(" not in e.text), None)


def _dependencies(files: Files, manifest: str, document: Element | None) -> dict[str, int | None]:
    """Packages in lower case, as NuGet compares them, and the SDK."""
    text = files.text(manifest)
    named = [
        e.get("Include") or "" for tag in ("PackageReference", "FrameworkReference") for e in _all(document, tag)
    ]
    sdks = [(document.get("Sdk") or "") if document is not None else ""]
    sdks += [e.get("Name") or "" for e in _all(document, "Sdk")]
    return {name.partition("/")[0].lower(): line_of(text, f'"{name}"') for name in [*sdks, *named] if name}


def _plain(dependencies: dict[str, int | None]) -> dict[str, int | None]:
    """Aspire's packages wrap those of the drivers, and are called after them."""
    return dependencies | {name.removeprefix("aspire."): line for name, line in dependencies.items()}


def _runs(document: Element | None, dependencies: dict[str, int | None]) -> bool:
    """The SDK for web and for workers makes programs, the plain one where it is told so."""
    kind = (_property(document, "OutputType") or "").lower()
    if _ORCHESTRATOR & dependencies.keys() or _DESKTOP & {(name, _property(document, name)) for name, _ in _DESKTOP}:
        return False
    if {"microsoft.net.sdk.web", "microsoft.net.sdk.worker"} & dependencies.keys():
        return kind != "library"
    return kind in ("exe", "winexe")


_ORCHESTRATOR = {"aspire.apphost.sdk", "aspire.hosting.apphost"}
"""It starts the other programs on a developer's machine."""
_DESKTOP = {("UseMaui", "true"), ("UseWPF", "true"), ("UseWindowsForms", "true")}


def _reached(files: Files, manifest: str, document: Element | None) -> dict[str, int | None]:
    """Packages of the projects that this one refers to, directly or not."""
    found: dict[str, int | None] = {}
    seen, waiting = {manifest}, [(manifest, document)]
    while waiting and len(seen) < MAX_PROJECTS:
        path, described = waiting.pop()
        for target in _references(path, described) - seen:
            seen.add(target)
            inner = read_xml(files, target, Notes())
            named = [(e.get("Include") or "").lower() for e in _all(inner, "PackageReference")]
            found |= dict.fromkeys(name for name in named if name)
            waiting.append((target, inner))
    return found


MAX_PROJECTS = 60


def _references(manifest: str, document: Element | None) -> set[str]:
    texts = [(e.get("Include") or "").replace("\\", "/") for e in _all(document, "ProjectReference")]
    return {path for text in texts if not (path := normpath(join(dirname(manifest), text))).startswith("..")}


def _context(root: str, document: Element | None) -> str:
    """The folder that also holds the projects that this one refers to."""
    context = root
    for target in _references(join(root, "."), document):
        while context != "." and not target.startswith(f"{context}/"):
            context = dirname(context) or "."
    return context


def _version(files: Files, manifest: str, document: Element | None, notes: Notes) -> str:
    wish = _property(document, "TargetFramework") or _property(document, "TargetFrameworks") or ""
    found = re.search(r"net(?:coreapp)?(\d{1,2}\.\d)", wish)
    if not found:
        return DEFAULT_VERSION
    notes.clue("version", found[1], manifest, line_of(files.text(manifest), basename(wish)))
    return found[1]

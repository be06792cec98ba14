"""Java and Kotlin with Maven or Gradle: Spring Boot, Quarkus, Micronaut, others, plain programs."""

import json
import re
import shlex
from dataclasses import dataclass, replace
from posixpath import basename

from iarnet.analysis.base import Files, Profile
from iarnet.analysis.ecosystems import commands
from iarnet.analysis.ecosystems.java_configuration import note_configuration
from iarnet.analysis.ecosystems.java_manifests import JavaProject, reached, read_project
from iarnet.analysis.ecosystems.java_servers import served
from iarnet.analysis.ecosystems.manifests import join, line_of, matches, read_json, shows, sources
from iarnet.analysis.ecosystems.notes import Notes
from iarnet.analysis.ecosystems.sightings import (
    Listen,
    Route,
    Seen,
    health_check,
    health_route,
    opened,
    ports,
    settings,
)
from iarnet.analysis.ecosystems.sizes import size
from iarnet.analysis.recipes.java import JavaBuild, java_recipe, war_recipe
from iarnet.analysis.service_table import EMBEDDED
from iarnet.models.component import ComponentKind, Port

_FRAMEWORKS = (
    ("spring-boot", "org.springframework.boot", 8080),
    ("quarkus", "io.quarkus", 8080),
    ("micronaut", "io.micronaut", 8080),
    ("javalin", "io.javalin", 7070),
    ("vertx", "io.vertx", 8080),
    ("spark", "com.sparkjava", 4567),
    ("dropwizard", "io.dropwizard", 8080),
    ("ktor", "io.ktor", 8080),
)
_HEALTH = {"spring-boot-starter-actuator": "/actuator/health", "quarkus-smallrye-health": "/q/health",
           "micronaut-management": "/health"}  # fmt: skip
_WEB = ("spring-boot-starter-web", "spring-boot-starter-webflux", "spring-boot-starter-jersey",
        "spring-boot-starter-data-rest", "spring-boot-starter-webmvc", "spring-boot-starter-graphql",
        "spring-boot-starter-hateoas", "spring-boot-admin-starter-server", "spring-cloud-starter-gateway",
        "spring-cloud-config-server", "spring-cloud-starter-netflix-eureka-server",
        "spring-cloud-starter-netflix-zuul", "springdoc-openapi-starter-web")  # fmt: skip
_CONSUMERS = (
    "spring-kafka",
    "spring-boot-starter-amqp",
    "spring-rabbit",
    "spring-boot-starter-quartz",
    "kafka-clients",
    "amqp-client",
)
_GETENV = re.compile(
    r"getenv(?:\(\s*\"(\w+)\"\s*\)|\(\)\s*\.\s*(?:get|getOrDefault)\(\s*\"(\w+)\"(?:\s*,\s*\"([^\"\n]{0,300})\")?)"
)
_VALUE = re.compile(r"@(?:Value|ConfigProperty)\([^)\n]{0,200}?\$?\{?([A-Z][A-Z0-9_]+)(?::([^}\"\n]{0,300}))?\}?\"")
_LISTEN = re.compile(
    r"(?:InetSocketAddress\(|\.start\(|\.listen\(|\bport\(|ServerSocket\(|forPort\()\s*(?:\"[\w.]*\",\s*)?"
    r"(?:(\d{2,5})|([A-Za-z_]\w*)|Integer\.parseInt\(([^\n]{1,120}))\s*[,)]"
)
_EMBEDDED = re.compile(
    r"embeddedServer\(\s{0,40}\w+\s{0,9},\s{0,40}(?:port\s{0,9}=\s{0,9})?"
    r"(?:(\d{2,5})\b|([A-Za-z_]\w*)\s{0,9}[,)]|([^,\n]{1,120}))"
)
_CONTEXT = re.compile(r"createContext\(\s*\"(/[\w/-]{1,60})\"")
_MAPPING = re.compile(
    r"@(?:Get|Request)Mapping\(\s*(?:value\s*=\s*|path\s*=\s*)?\"(/[\w/-]{1,60})\"|@Path\(\"(/[\w/-]{1,60})\"\)"
)
_MAIN = re.compile(r"public\s+static\s+void\s+main\s*\(|^fun\s+main\s*\(", re.MULTILINE)
_PACKAGE = re.compile(r"^[ \t]*package[ \t]+([\w.]+)", re.MULTILINE)
_PAGES = re.compile(r"thymeleaf|freemarker|mustache|text/html|ModelAndView|<html", re.IGNORECASE)


@dataclass(frozen=True)
class _Entry:
    """The class with the main method, and where it is written."""

    name: str
    file: str
    line: int | None


class Java:
    name = "java"

    def recognise(self, files: Files, root: str, start: str | None = None) -> Profile | None:
        notes = Notes()
        project = read_project(files, root, notes)
        if project is None:
            return None
        project.dependencies -= _unused(files, root, project.dependencies)
        project.dependencies |= reached(files, project)
        if _configures_server(files, root):
            project.dependencies -= EMBEDDED
        framework, usual = _framework(project)
        read, entry = files.once(f"java {root}", lambda: _read_code(files, root))
        seen = read.copy()
        if project.war and entry is None and project.main_class is None and not project.modules:
            return _archive(files, project, framework, seen, start, notes)
        if not _runs(project, framework, entry):
            return _library(files, project, framework, notes)
        kind = _kind(project, framework, seen)
        listen = opened(seen)
        port = (
            (commands.port_in(start or "") or (listen.port if listen else None) or usual)
            if kind in ("web", "api")
            else None
        )
        return _profile(files, project, framework, seen, entry, kind, port, start, notes)


def _configures_server(files: Files, root: str) -> bool:
    """Whether code, or settings for every profile, lead to a database of its own: one within is for tests then."""
    found = files.grep(_JDBC, join(root, "src/main"), (".java", ".kt", ".properties", ".yml", ".yaml"))
    return any(not basename(match.path).startswith("application-") for match in found)


_JDBC = r"\b(?:jdbc|r2dbc):(?:postgresql|mysql|mariadb|sqlserver|oracle)"


def _framework(project: JavaProject) -> tuple[str | None, int]:
    groups = {name.split(":")[0] for name in project.dependencies | project.plugins if ":" in name or "." in name}
    groups |= {name.removeprefix("group:") for name in project.plugins}
    if not any(name.startswith("ktor-server") for name in project.dependencies):
        groups = {group for group in groups if group.split(".")[:2] != ["io", "ktor"]}  # only its client, perhaps
    found = (
        (name, port)
        for name, group, port in _FRAMEWORKS
        if any(g == group or g.startswith(f"{group}.") for g in groups)
    )
    return next(found, (None, 8080))


def _runs(project: JavaProject, framework: str | None, entry: _Entry | None) -> bool:
    """The parent of several modules only builds them."""
    if project.modules:
        return False
    launched = framework == "quarkus" or "vertx-maven-plugin" in project.plugins
    return entry is not None or project.main_class is not None or launched


def _archive(
    files: Files, project: JavaProject, framework: str | None, seen: Seen, start: str | None, notes: Notes
) -> Profile:
    """What a server runs: without code of its own that would say so, a page."""
    at = served(files, project)
    moved = at.ports[0] != at.server.port and at.server.option
    command = start or at.server.start + (at.server.option.format(port=at.ports[0]) if moved else "")
    folder = "." if project.root == project.context else project.root.removeprefix(join(project.context, ""))
    build = JavaBuild(project.version, project.tool, command, folder, "war", project.wrapper, at.ports[0])
    inside = at.file.removeprefix(join(project.context, "")) if at.file.endswith(".xml") else None
    notes.clue("language", "java", project.manifest)
    notes.clue("framework", framework or at.server.name, project.manifest)
    notes.clue("start_command", command, project.manifest, line_of(files.text(project.manifest), "war"), 0.7)
    notes.clue("ports", "/".join(str(port) for port in at.ports), at.file, at.line, 0.9 if at.line else 0.6)
    return Profile(
        root=project.root,
        language=_language(files, project.root),
        framework=framework or at.server.name,
        kind="web",
        start_command=command,
        ports=tuple(Port(port=port) for port in at.ports),
        env=settings(seen.env, notes),
        health=health_check(seen, at.ports[0]),
        resources=size(framework or "java", language="java"),
        dependencies=frozenset(project.dependencies),
        recipe=war_recipe(build, at.server, inside if inside and inside.endswith("server.xml") else None),
        context=project.context,
        clues=tuple(notes.clues),
        warnings=tuple(notes.warnings),
    )


def _unused(files: Files, root: str, dependencies: set[str]) -> set[str]:
    """Clients that nothing configures by itself, and that no code imports."""
    there = _CLIENTS.keys() & dependencies
    found = {
        name for name in there if not any(files.grep(_CLIENTS[name], root, (".java", ".kt", ".groovy", ".scala")))
    }
    return {name for name in dependencies if name.rsplit(":", 1)[-1] in found}


_CLIENTS = {
    "lettuce-core": r"\bio\.lettuce\.",
    "jedis": r"\bredis\.clients\.",
    "redisson": r"\borg\.redisson\.",
    "amqp-client": r"\bcom\.rabbitmq\.",
}


def _library(files: Files, project: JavaProject, framework: str | None, notes: Notes) -> Profile:
    return Profile(
        root=project.root,
        language=_language(files, project.root),
        framework=framework,
        kind="job",
        dependencies=frozenset(project.dependencies),
        context=project.context,
        clues=tuple(notes.clues),
        warnings=tuple(notes.warnings),
        runnable=False,
    )


def _language(files: Files, root: str) -> str:
    paths = sources(files, root, (".java", ".kt"), ())
    return "kotlin" if paths and sum(path.endswith(".kt") for path in paths) * 2 > len(paths) else "java"


def _read_code(files: Files, root: str) -> tuple[Seen, _Entry | None]:
    seen, entries = Seen(), []
    for path in sources(files, root, (".java", ".kt"), ("pom.xml", "build.gradle", "build.gradle.kts")):
        text = files.text(path) or ""
        _note_code(path, text, seen)
        if found := next(matches(_MAIN, text), None):
            package = _PACKAGE.search(text)
            name = basename(path).removesuffix(".java").replace(".kt", "Kt")
            qualified = f"{package[1]}.{name}" if package else name
            entries.append(_Entry(qualified, path, text.count("\n", 0, found.start()) + 1))
    note_configuration(files, root, seen)
    return seen, min(entries, key=lambda e: (e.file.count("/"), e.file), default=None)


def _note_code(path: str, text: str, seen: Seen) -> None:
    for found in matches(_GETENV, text):
        seen.read(found[1] or found[2], path, text.count("\n", 0, found.start()) + 1, default=found[3])
    for found in matches(_VALUE, text):
        line = text.count("\n", 0, found.start()) + 1
        seen.read(found[1], path, line, required=found[2] is None, default=found[2])
    for found in matches(_LISTEN, text):
        port, setting = _number(found, text)
        if port or setting:
            seen.listens.append(Listen(path, text.count("\n", 0, found.start()) + 1, port, setting))
    for found in matches(_EMBEDDED, text):
        port, setting = _number(found, text)
        seen.listens.append(Listen(path, text.count("\n", 0, found.start()) + 1, port, setting))
    for found in matches(_CONTEXT, text):
        seen.route(found[1], path, text.count("\n", 0, found.start()) + 1)
    if len(re.findall(r"@RequestMapping\(", text)) <= 1 and "@RequestMapping" not in text.split("class ")[0]:
        for found in matches(_MAPPING, text):
            seen.route(found[1] or found[2], path, text.count("\n", 0, found.start()) + 1)
    seen.pages = seen.pages or shows(_PAGES, text)


def _number(found: re.Match[str], text: str) -> tuple[int | None, str | None]:
    """A literal port, a constant, or what is read from the environment."""
    if found[1]:
        return int(found[1]), None
    expression = found[3] or ""
    if found[2]:
        assigned = re.search(rf"\b{found[2]}\s*=\s*([^;\n]{{1,200}})", text)
        expression = assigned[1] if assigned else ""
    setting = _GETENV.search(expression)
    digits = re.search(r"(?<![\w.])(\d{2,5})(?![\w.])", expression)
    return int(digits[1]) if digits else None, (setting[1] or setting[2]) if setting else None


def _kind(project: JavaProject, framework: str | None, seen: Seen) -> ComponentKind:
    if framework == "spring-boot":
        serves = any(name.startswith(_WEB) for name in project.dependencies) or bool(seen.listens)
    else:
        serves = framework is not None or bool(seen.listens)
    if serves:
        templates = any(
            word in name for name in project.dependencies for word in ("thymeleaf", "freemarker", "mustache")
        )
        return "web" if seen.pages or templates else "api"
    consumes = bool(project.dependencies & set(_CONSUMERS))
    return "worker" if consumes or framework else "job"


def _profile(
    files: Files,
    project: JavaProject,
    framework: str | None,
    seen: Seen,
    entry: _Entry | None,
    kind: ComponentKind,
    port: int | None,
    start: str | None,
    notes: Notes,
) -> Profile:
    build = _build(project, framework, entry, port, start)
    listen = opened(seen)
    if framework == "vertx" and listen and listen.file.endswith(".json") and not (start or entry):
        build = replace(build, start=build.start + _told(files, listen))
    given = {listen.env: str(port)} if listen and listen.env and port else {}
    _note_framework_health(project, seen)
    file, line = (entry.file, entry.line) if entry else (project.manifest, 1)
    notes.clue("language", _language(files, project.root), project.manifest)
    notes.clue("start_command", build.start, file, line, 0.9)
    if framework:
        group = next(group for name, group, _ in _FRAMEWORKS if name == framework)
        notes.clue("framework", framework, project.manifest, line_of(files.text(project.manifest), group))
    if port and listen and listen.port == port:
        notes.clue("ports", port, listen.file, listen.line)
    elif port:
        notes.clue("ports", port, file, line, 0.6)
    if port and (route := health_route(seen)):
        notes.clue("health", route.path, route.file, route.line)
    return Profile(
        root=project.root,
        language=_language(files, project.root),
        framework=framework,
        kind=kind,
        start_command=build.start,
        ports=ports(port),
        env=settings(seen.env, notes, given),
        health=health_check(seen, port) if port else None,
        resources=size(framework or "java", language="java"),
        dependencies=frozenset(project.dependencies),
        recipe=java_recipe(build),
        context=project.context,
        port_env=listen.env if listen else None,
        clues=tuple(notes.clues),
        warnings=tuple(notes.warnings),
    )


def _told(files: Files, listen: Listen) -> str:
    """Vert.x' launcher reads no file by itself (`-conf`, https://vertx.io/docs/vertx-core/java/): the port of one."""
    content = read_json(files, listen.file, Notes())
    said = {name: value for name, value in content.items() if value == listen.port and len(name) < 80}
    return f" -conf {shlex.quote(json.dumps(said))}" if said else ""


def _note_framework_health(project: JavaProject, seen: Seen) -> None:
    """Paths that a dependency adds; they win over routes of the code, which may hang below a prefix."""
    found = [path for artifact, path in _HEALTH.items() if artifact in project.dependencies]
    if found:
        seen.health.clear()
        seen.health.append(Route(found[0], project.manifest, 1))


def _build(
    project: JavaProject, framework: str | None, entry: _Entry | None, port: int | None, start: str | None
) -> JavaBuild:
    layout = "quarkus" if framework == "quarkus" else "jar" if project.executable else "classes"
    main = project.main_class or (entry.name if entry else "")
    main = main or ("io.vertx.core.Launcher" if framework == "vertx" else "")
    usual = {"quarkus": "java -jar quarkus-run.jar", "jar": "java -jar app.jar"}.get(
        layout, f"java -cp 'app.jar:lib/*' {main}"
    )
    folder = "." if project.root == project.context else project.root.removeprefix(join(project.context, ""))
    return JavaBuild(
        version=project.version,
        tool=project.tool,
        # A declared command names the jar as the author's own build calls it.
        start=start if start and not re.search(r"\.jar\b|mvnw?\b|gradlew?\b", start) else usual,
        folder=folder,
        layout=layout,
        wrapper=project.wrapper,
        port=port,
    )

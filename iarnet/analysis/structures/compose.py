"""Compose files (https://compose-spec.io): services, what they need and how they are checked."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from posixpath import dirname, join
from typing import Any

from iarnet.analysis.base import Clue, Declared, Files, Structure
from iarnet.analysis.files import IGNORED
from iarnet.analysis.image_names import folder_of_image
from iarnet.analysis.names import component_name, did_you_mean, unique
from iarnet.analysis.structures import compose_fields as fields
from iarnet.analysis.structures import compose_needs as needs
from iarnet.analysis.structures import compose_options as options
from iarnet.analysis.structures.compose_files import FILES, ComposeFiles, Project, file_below
from iarnet.analysis.structures.compose_merge import merged
from iarnet.analysis.structures.compose_mounts import Mounts, inside, mounted, put
from iarnet.analysis.structures.compose_sharing import Sharing
from iarnet.analysis.structures.compose_table import SERVICE, TOP, Seen, unused
from iarnet.analysis.structures.copied import lies_there
from iarnet.analysis.structures.nodes import Node
from iarnet.analysis.structures.variables import Interpolation, env_file
from iarnet.errors import InvalidComponent
from iarnet.models.analysis import Warning
from iarnet.models.component import Build, EnvVar, Volume
from iarnet.models.container import Container, File, is_address
from iarnet.models.edge import Edge


class Compose:
    """The first of `FILES`, at the top or in a folder for it; services of a profile are left out, as
    `docker compose up` does."""

    name = "compose"
    whole = True

    def read(self, files: Files) -> Structure | None:
        path = next((name for name in FILES if files.exists(name)), None)
        if path:
            return _Reader(files, path).read()
        below = file_below(files)
        return _read_below(files, below) if below else None


def _read_below(files: Files, path: str) -> Structure | None:
    """A file that nobody points to counts when all of it can be had, and something of it is made here."""
    try:
        found = _Reader(files, path).read()
    except InvalidComponent as error:
        message = f"{path} is passed over: {error.message}"
        return Structure(warnings=[Warning(code="broken-manifest", message=message, file=path)])
    roots = [component.root for component in found.components if component.root not in (None, ".")]
    images = [str(component.facts["image"]) for component in found.components if "image" in component.facts]
    ours = len(images) < len(found.components) or any(folder_of_image(files, image) for image in images)
    return found if ours and all(files.paths(root) for root in roots if root) else None


@dataclass
class _Reader:
    files: Files
    path: str
    structure: Structure = field(default_factory=Structure)
    names: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    awaited: set[str] = field(default_factory=set)
    services: dict[str, Node] = field(default_factory=dict)
    sharing: Sharing = field(default_factory=Sharing)
    project: Project = field(default_factory=dict)
    sources: ComposeFiles = field(init=False)

    def read(self) -> Structure:
        self.variables = self._variables()
        interpolation = Interpolation(self.variables)
        self.sources = ComposeFiles(self.files, interpolation)
        self.project = self.sources.project(self.path)
        services = self.services = self._services()
        for name in services:
            self.names[name] = unique(component_name(name), self.names.values())
        self.aliases = {alias: self.names[name] for name in services for alias in needs.hosts(name, services[name])}
        self.aliases |= {
            alias: self.names[to] for s in services.values() for alias, to in needs.linked(s) if to in services
        }
        waits = [
            need for s in services.values() for need in needs.depends_on(s.mapping("a service").get("depends_on"))
        ]
        self.awaited = {name for _, name, condition, _ in waits if condition == "completed"}
        for name, service in services.items():
            self.structure.components.append(self._component(name, service))
            self._edges(name, service)
        for edge, clue in self.sharing.edges(self.structure.edges):
            self.structure.edges.append(edge)
            self.structure.edge_clues.append(clue)
        for path, document in self.sources.loaded.items():
            self._tell("", unused(document.mapping("a compose file"), TOP), only=path)
        for variable in sorted(interpolation.missing):
            top = self.sources.loaded[self.path]
            self._warn("unset-variable", f"${{{variable}}} has no value; it counts as empty, as in compose", top)
        return self.structure

    def _variables(self) -> dict[str, str]:
        """Those of `.env`; where there is only an example of it, nothing runs until somebody copies that."""
        folder = dirname(self.path)
        found = env_file(self.files, join(folder, ".env"), {})
        names = (f".env.{name}" for name in _EXAMPLES) if found is None else ()
        examples = (env_file(self.files, join(folder, name), {}) for name in names)
        return found or next((example for example in examples if example), {})

    def _services(self) -> dict[str, Node]:
        """Without those of profiles that nobody asks for, as `docker compose up` does."""
        asked = {profile.strip() for profile in self.variables.get("COMPOSE_PROFILES", "").split(",")} - {""}
        chosen: dict[str, Node] = {}
        for name in self.project["services"]:
            extended = self._extended(name, self.project["services"], ())
            given = extended.mapping(f"service {name}")
            profiles = {item.raw for item in given["profiles"].items("profiles")} if "profiles" in given else set()
            if profiles and not profiles & (asked | {"*", ""}) and "*" not in asked:
                why = f"{name} runs only with a profile; it is left out. COMPOSE_PROFILES in .env can name one"
                self._warn("profile-skipped", why, extended, "info")
            else:
                chosen[name] = extended
        return chosen

    def _extended(self, name: str, services: dict[str, Node], trail: tuple[tuple[str, str], ...]) -> Node:
        """The service with what it `extends` beneath it."""
        service = services[name]
        own = service.mapping(f"service {name}")
        if "extends" not in own:
            return service
        extends = own["extends"]
        given = extends.mapping("extends") if isinstance(extends.value, dict) else {"service": extends}
        others = self.sources.extended(extends, given) if "file" in given else services
        base = given["service"].text("extends.service") if "service" in given else ""
        if base not in others:
            raise extends.refuse(f"there is no service {base!r} to extend", did_you_mean(base, others))
        passed = (*trail, (service.path, name))
        if (others[base].path, base) in passed:
            raise extends.refuse(f"{base!r} extends itself", "take one `extends` out of the circle")
        under = self._extended(base, others, passed)
        return Node(merged(under.mapping(base), own), service.path, service.line)

    def _component(self, name: str, service: Node) -> Declared:
        given = service.mapping(f"service {name}")
        if name in self.awaited:  # A job: it isn't started again anyway.
            given = {key: node for key, node in given.items() if key != "restart"}
        declared = Declared(self.names[name])
        declared.clues.append(Clue("component", name, service.path, service.line))
        self._tell(name, unused(given, SERVICE))
        given = fields.as_deploy(given)
        for key, target, read in _FIELDS:
            if key in given:
                self._take(declared, target, given[key], read(given[key]))
        if "build" in given:
            self._build(declared, given)
        self._environment(declared, given)
        mounts = self._mounts(declared, given)
        self._files(declared, given)
        self._container(declared, given, mounts)
        others = [alias for alias, to in self.aliases.items() if to == declared.name and alias != declared.name]
        declared.facts["aliases"] = tuple(alias for alias in others if needs.can_be_found(alias, self.names.values()))
        if not {"image", "build"} & set(declared.facts) and "build" not in given:
            raise service.refuse(f"service {name} has neither image nor build", "give it one of them")
        return declared

    def _tell(self, service: str, seen: Iterable[Seen], only: str = "") -> None:
        """`only`: what stands in this file."""
        for each in seen:
            where = f"{service}.{each.name}" if service else each.name
            shown = f"{where}: {each.node.raw[:60]}" if each.node.raw else where
            severity = "info" if each.field.fate == "no-effect" else "warning"
            if not only or each.node.path == only:
                done = "is withheld" if each.field.fate == "withheld" else "has no effect here"
                self._warn(each.field.fate, f"{shown} {done}: {each.field.why}", each.node, severity)

    def _take(self, declared: Declared, target: str, node: Node, value: Any) -> None:
        if value is None:
            return
        if target == "ports" and "ports" in declared.facts:
            known = {(port.port, port.protocol) for port in declared.facts["ports"]}
            value = (*declared.facts["ports"], *(port for port in value if (port.port, port.protocol) not in known))
        declared.facts[target] = value
        declared.clues.append(Clue(target, fields.shown(node), node.path, node.line))

    def _build(self, declared: Declared, given: dict[str, Node]) -> None:
        """An image beside a build is only the name of what is built."""
        declared.facts.pop("image", None)
        build = fields.build(given["build"], self.variables)
        if self._installed(build.context):
            declared.root = "."
            message = (
                f"{build.context} is not in the repository but comes with its dependencies; the build is generated"
            )
            self._warn("generated-build", message, given["build"], "info")
            return
        declared.root = build.context
        self._take(declared, "build", given["build"], build)

    def _installed(self, folder: str) -> bool:
        return not IGNORED.isdisjoint(folder.split("/")) and not self.files.exists(f"{folder}/Dockerfile")

    def _environment(self, declared: Declared, given: dict[str, Node]) -> None:
        settings: dict[str, fields.Setting] = {}
        for each in fields.env_files(given.get("env_file")):
            found = env_file(self.files, each.path, None if each.raw else self.variables)
            if found is not None:
                settings |= {name: fields.Setting(value, each.node.line) for name, value in found.items()}
            elif each.required:
                message = f"{each.path} is not in the repository; set its values on the app"
                self._warn("env-file-missing", message, each.node)
        if "environment" in given:
            settings |= fields.environment(given["environment"], self.variables)
        if settings:
            env = tuple(self._variable(name, s) for name, s in settings.items() if fields.env_name(name))
            declared.facts["env"] = env
            declared.clues += [Clue(f"env.{name}", "", self.path, setting.line) for name, setting in settings.items()]

    def _variable(self, name: str, setting: fields.Setting) -> EnvVar:
        """A service's other host names (`container_name`, `my_db`) become the component's."""
        value = setting.value
        for alias, component in self.aliases.items():
            if value and alias != component and alias in value and not is_address(alias):
                value = re.sub(rf"(?<![\w.-]){re.escape(alias)}(?![\w.-])", component, value)
        return EnvVar(name=name, value=value, required=setting.required)

    def _mounts(self, declared: Declared, given: dict[str, Node]) -> Mounts:
        """What of the repository is mounted comes into the image, unless its build puts it there itself."""
        mounts = mounted(self.files, given["volumes"]) if "volumes" in given else Mounts()
        kept = [self.sharing.kept(declared.name, declared.name, each) for each in mounts.volumes.values()]
        for item in given["volumes_from"].items("volumes_from") if "volumes_from" in given else ():
            kept += self._of_another(declared.name, item)
        if kept:
            place = given.get("volumes") or given["volumes_from"]
            self._take(declared, "volumes", place, tuple({volume.path: volume for volume in kept}.values()))
        build: Build | None = declared.facts.get("build")
        baked = [(s, t) for s, t in mounts.baked if not (build and lies_there(self.files, build, s, t))]
        for source, target in baked:
            message = f"{source} is not mounted but copied into the image at {target}: changes come with a deployment"
            self._warn("baked", message, given["volumes"], "info")
        if baked:
            declared.facts["baked"] = tuple(baked)
        for code, message, node in mounts.notes:
            self._warn(code, message, node)
        return mounts

    def _of_another(self, component: str, item: Node) -> list[Volume]:
        name, _, mode = item.text("volumes_from").partition(":")
        if name == "container":
            return []
        if name not in self.services:
            raise item.refuse(
                f"there is no service {name!r} whose volumes it could have", did_you_mean(name, self.names)
            )
        theirs = self.services[name].mapping(name).get("volumes")
        found = mounted(self.files, theirs).volumes.values() if theirs else ()
        kept = [self.sharing.kept(component, self.names[name], each) for each in found]
        return [volume.model_copy(update={"read_only": True}) if mode == "ro" else volume for volume in kept]

    def _files(self, declared: Declared, given: dict[str, Node]) -> None:
        """A definition without content is somebody else's, who has to say what is in it."""
        found: list[File] = []
        for what in ("configs", "secrets"):
            if what in given:
                found += put(self.files, given[what], what, self.project[what], self.variables)
        for file in found:
            if file.value is None:
                how = f"--secret {declared.name}.file.{file.name}=NAME"
                message = f"{declared.name}: what is in {file.path} is not in the repository; say it with {how}"
                self._warn("file-missing", message, given["secrets" if file.path.startswith("/run/") else "configs"])
        if found:
            declared.facts["files"] = tuple(found)
            declared.clues.append(Clue("files", ", ".join(file.path for file in found), self.path))

    def _container(self, declared: Declared, given: dict[str, Node], mounts: Mounts) -> None:
        asked = dict(given)
        if (most := fields.processes(given)) is not None:
            asked["pids_limit"] = most
        for name, node in options.of_the_host(asked.get("sysctls")):
            self._warn("withheld", f"{declared.name}.sysctls: {name} counts for the whole host", node)
        labels: dict[str, str] = {}
        for node in given["label_file"].items("label_file") if "label_file" in given else ():
            labels |= options.free(env_file(self.files, inside(node.raw) or "") or {})
        container = options.container(asked, labels, mounts.tmpfs)
        if container != Container():
            declared.facts["container"] = container
            said = container.model_dump(exclude_defaults=True)
            declared.clues.append(Clue("container", ", ".join(said), self.path, next(iter(given.values())).line))
        if capabilities := fields.added_capabilities(given):
            self._take(declared, "capabilities", given["cap_add"], capabilities)
        for node in fields.outside(given["ports"]) if "ports" in given else ():
            message = (
                f"{declared.name}.ports: {node.raw or 'host_ip'} asks for one address; published ports are on that of"
                f" docker.publish_address. --set {declared.name}.publish=no keeps it inside"
            )
            self._warn("published-wider", message, node)

    def _edges(self, name: str, service: Node) -> None:
        given = service.mapping(name)
        for node, needed, condition, sure in [
            *needs.depends_on(given.get("depends_on")),
            *needs.links(given.get("links")),
        ]:
            if needed not in self.names and needs.optional(node):
                continue
            if needed not in self.names:
                raise node.refuse(
                    f"{name} needs {needed!r}, which is no service here", did_you_mean(needed, self.names)
                )
            edge = Edge(from_=self.names[name], to=self.names[needed], type="order", condition=condition)
            if edge.to not in [known.to for known in self.structure.edges if known.from_ == edge.from_]:
                self.structure.edges.append(edge)
                clue = Clue(f"{edge.from_}->{edge.to}", condition, node.path, node.line, sure)
                self.structure.edge_clues.append(clue)

    def _warn(self, code: str, message: str, node: Node, severity: Any = "warning") -> None:
        self.structure.warnings.append(
            Warning(code=code, message=message, file=node.path, line=node.line, severity=severity)
        )


_EXAMPLES = ("example", "sample", "template", "dist", "docker")
_FIELDS: tuple[tuple[str, str, Callable[[Node], Any]], ...] = (
    ("image", "image", lambda node: node.text("image").strip() or None),
    ("command", "command", lambda node: fields.command(node, "command")),
    ("entrypoint", "entrypoint", lambda node: fields.command(node, "entrypoint")),
    ("ports", "ports", fields.ports),
    ("expose", "ports", fields.expose),
    ("healthcheck", "health", fields.health),
    ("deploy", "resources", fields.resources),
    ("deploy", "replicas", fields.replicas),
    ("user", "user", lambda node: node.text("user") or None),
    ("working_dir", "working_dir", lambda node: node.text("working_dir") or None),
    ("deploy", "kind", fields.job),
)

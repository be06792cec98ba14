"""What Maven and Gradle say of a project, without running them."""

import re
from dataclasses import dataclass, field
from posixpath import basename, dirname
from xml.etree.ElementTree import Element

from iarnet.analysis.base import Files
from iarnet.analysis.ecosystems.gradle_catalog import named
from iarnet.analysis.ecosystems.manifests import join, line_of, matches, read_xml
from iarnet.analysis.ecosystems.notes import Notes

VERSIONS = (8, 11, 17, 21)
DEFAULT_VERSION = 17

_GRADLE_FILES = ("build.gradle", "build.gradle.kts")
_COORDINATES = re.compile(
    r"\b(?:implementation|api|compile|runtimeOnly|runtime|compileOnly)\b\s{0,40}\(?\s{0,40}(?:platform\(\s{0,40})?[\"']([\w.-]+):([\w.-]+)(?::[^\"'\n]*)?[\"']"
)
_PLUGIN = re.compile(r"\bid\s{0,40}\(?\s{0,40}[\"']([\w.-]+)[\"']|apply\s+plugin:\s*[\"']([\w.-]+)[\"']")
_GRADLE_VERSION = re.compile(
    r"(?:languageVersion[^\n]{0,80}?of\(|jvmToolchain\(|(?:source|target)Compatibility\s{0,40}=?\s{0,40}[\"']?(?:JavaVersion\.VERSION_)?)(?:1[._])?(\d+)"
)
_GRADLE_MAIN = re.compile(
    r"(?:mainClass(?:Name)?(?:\.set\(|\s*=)|[\"']Main-Class[\"']\s*(?::|to))\s*[\"']([\w.$]+)[\"']"
)


@dataclass
class JavaProject:
    """`tool` is `maven` or `gradle`. `context` is where the build is started: above `root` for a module of several.

    `dependencies` hold `group:artifact` and the artifact alone. `executable`: the build makes a jar that starts
    by itself.
    """

    root: str
    context: str
    tool: str
    manifest: str
    version: int = DEFAULT_VERSION
    dependencies: set[str] = field(default_factory=set)
    plugins: set[str] = field(default_factory=set)
    modules: tuple[str, ...] = ()
    main_class: str | None = None
    wrapper: bool = False
    executable: bool = False
    war: bool = False


def read_project(files: Files, root: str, notes: Notes) -> JavaProject | None:
    if files.exists(join(root, "pom.xml")):
        return _read_pom(files, root, notes)
    name = next((name for name in _GRADLE_FILES if files.exists(join(root, name))), None)
    return _read_gradle(files, root, name, notes) if name else None


def _read_pom(files: Files, root: str, notes: Notes) -> JavaProject:
    path = join(root, "pom.xml")
    project = JavaProject(root, _maven_context(files, root), "maven", path)
    document = read_xml(files, path, notes)
    if document is None:
        return project
    parent = _parent(files, project)
    documents = [document, *([parent] if parent is not None else [])]
    for element in (e for d in documents for e in _all(d, "dependencies/dependency")):
        _add_dependency(files, project, element, notes)
    places = ("build/plugins/plugin", "profiles/profile/build/plugins/plugin", "parent")
    for element in (e for d in documents for place in places for e in _all(d, place)):
        project.plugins |= {_text(element, "artifactId"), f"group:{_text(element, 'groupId')}"}
    project.modules = tuple(e.text.strip() for e in _all(document, "modules/module") if e.text)
    project.version = _maven_version(documents)
    project.war = _text(document, "packaging") == "war"
    found = (
        _text(d, f"properties/{name}")
        for d in documents
        for name in ("exec.mainClass", "main.class", "mainClass", "start-class")
    )
    project.main_class = next((name for name in found if name), None) or next(
        (
            e.text.strip()
            for d in documents
            for e in d.iter()
            if _local(e) == "mainClass" and e.text and "$" not in e.text
        ),
        None,
    )
    project.executable = bool(
        project.plugins
        & {"maven-shade-plugin", "maven-assembly-plugin", "spring-boot-maven-plugin", "vertx-maven-plugin"}
    )
    return project


def _add_dependency(files: Files, project: JavaProject, element: Element, notes: Notes) -> None:
    group, artifact = _text(element, "groupId"), _text(element, "artifactId")
    if not artifact or _text(element, "scope") in ("test", "provided"):
        return
    project.dependencies |= {artifact, f"{group}:{artifact}"}
    line = line_of(files.text(project.manifest), f"<artifactId>{artifact}<")
    notes.clue("dependencies", f"{group}:{artifact}", project.manifest, line)


def reached(files: Files, project: JavaProject) -> set[str]:
    """Dependencies of the modules of the same build that the project is made of, directly or not."""
    found: set[str] = set()
    seen, waiting = {project.root}, [project]
    while waiting and len(seen) < MAX_MODULES:
        for folder in _members(files, waiting.pop()) - seen:
            seen.add(folder)
            member = read_project(files, folder, Notes())
            if member:
                found |= member.dependencies
                waiting.append(member)
    return found


MAX_MODULES = 60


def _members(files: Files, project: JavaProject) -> set[str]:
    """Folders of the modules that a module names: `project(":a:b")`, or the artifact that a folder is called as."""
    if project.tool == "gradle":
        text = (files.text(project.manifest) or "")[:200_000]
        paths = (found[1].strip(":").replace(":", "/") for found in matches(_GRADLE_PROJECT, text))
        return {join(project.context, path) for path in paths}
    if project.context == project.root:
        return set()
    modules = files.named(("pom.xml",), project.context, 4)
    return {folder for path in modules if basename(folder := dirname(path)) in project.dependencies}


_GRADLE_PROJECT = re.compile(
    r"\b(?:implementation|api|compile|runtimeOnly)\b\s{0,9}\(?\s{0,9}project\(\s{0,9}(?:path:\s{0,9})?[\"'](:[\w:.-]{1,200})[\"']"
)


def _maven_context(files: Files, root: str) -> str:
    """The outermost folder above whose pom.xml lists the folder as a module."""
    context, folder = root, root
    while folder not in ("", "."):
        upper = dirname(folder) or "."
        text = files.text(join(upper, "pom.xml")) or ""
        inside = folder if upper == "." else folder[len(upper) + 1 :]
        if f"<module>{inside}</module>" not in re.sub(r"\s", "", text):
            break
        context = folder = upper
    return context


def _parent(files: Files, project: JavaProject) -> Element | None:
    if project.context == project.root:
        return None
    return read_xml(files, join(project.context, "pom.xml"), Notes())


def _maven_version(documents: list[Element]) -> int:
    names = (
        "java.version",
        "maven.compiler.release",
        "maven.compiler.target",
        "maven.compiler.source",
        "jdk.version",
    )
    wishes = [_text(document, f"properties/{name}") for document in documents for name in names]
    wishes += [e.text or "" for d in documents for e in d.iter() if _local(e) in ("release", "target")]
    return next(
        (nearest_version(wish) for wish in wishes if re.fullmatch(r"(1\.)?\d{1,2}", wish.strip())), DEFAULT_VERSION
    )


def nearest_version(wish: str) -> int:
    """The oldest Java there is an image of that runs what asks for `wish` (`1.8`, `17`)."""
    number = int(wish.strip().removeprefix("1.") or DEFAULT_VERSION)
    return next((version for version in VERSIONS if version >= number), VERSIONS[-1])


def _read_gradle(files: Files, root: str, name: str, notes: Notes) -> JavaProject:
    path, context = join(root, name), _gradle_context(files, root)
    project = JavaProject(root, context, "gradle", path)
    text = (files.text(path) or "")[:200_000]
    for found in matches(_COORDINATES, text):
        project.dependencies |= {found[2], f"{found[1]}:{found[2]}"}
        notes.clue("dependencies", f"{found[1]}:{found[2]}", path, text.count("\n", 0, found.start()) + 1)
    modules, plugins = named(files, context, text)
    for module, line in modules.items():
        project.dependencies |= {module.partition(":")[2], module}
        notes.clue("dependencies", module, path, line)
    project.plugins = plugins | {first or second for first, second in _PLUGIN.findall(text)}
    version, main = _GRADLE_VERSION.search(text), _GRADLE_MAIN.search(text)
    project.version = nearest_version(version[1]) if version else DEFAULT_VERSION
    project.main_class = main[1] if main else None
    project.wrapper = files.exists(join(context, "gradlew"))
    project.modules = ("declared",) if root == context and not project.plugins and _includes(files, root) else ()
    project.war = "war" in project.plugins
    project.executable = bool(
        project.plugins & {"org.springframework.boot", "com.github.johnrengelman.shadow", "com.gradleup.shadow"}
    )
    return project


def _gradle_context(files: Files, root: str) -> str:
    """The nearest folder above with a settings file, which includes this one."""
    folder = root
    while True:
        if _settings(files, folder) is not None:
            return folder
        if folder in ("", "."):
            return root
        folder = dirname(folder) or "."


def _settings(files: Files, folder: str) -> str | None:
    return files.text(join(folder, "settings.gradle")) or files.text(join(folder, "settings.gradle.kts"))


def _includes(files: Files, root: str) -> bool:
    return re.search(r"^[ \t]*include\b", _settings(files, root) or "", re.MULTILINE) is not None


def _local(element: Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _all(element: Element, path: str) -> list[Element]:
    """Descendants at `path`, whatever the namespace."""
    found = [element]
    for name in path.split("/"):
        found = [child for parent in found for child in parent if _local(child) == name]
    return found


def _text(element: Element, path: str) -> str:
    return next(((e.text or "").strip() for e in _all(element, path)), "")

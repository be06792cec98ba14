"""What the configuration of a Java program says: settings that it takes, and the port."""

import re

from iarnet.analysis.base import Files
from iarnet.analysis.ecosystems.manifests import join, matches
from iarnet.analysis.ecosystems.sightings import Listen, Seen

_PORT_KEYS = r"(?:server\.(?:http\.)?port|quarkus\.http\.port|micronaut\.server\.port)"
_PROPERTY_PORT = re.compile(rf"^[ \t]*{_PORT_KEYS}[ \t]*[=:][ \t]*([^\n]{{1,200}})", re.MULTILINE)
_YAML_PORT = re.compile(
    r"^(?:server|micronaut|quarkus|ktor):[^\n]*\n(?:[ \t][^\n]*\n){0,6}?[ \t]{1,40}port:\s*[\"']?([^\"'\n]+)",
    re.MULTILINE,
)
_HOCON_PORT = re.compile(r"^[ \t]*(?:ktor\.deployment\.)?port\s{0,9}=\s{0,9}\"?(\d{2,5})\b", re.MULTILINE)
_HOCON_SETTING = re.compile(r"^[ \t]*(?:ktor\.deployment\.)?port\s{0,9}=\s{0,9}\$\{\??(\w+)\}", re.MULTILINE)
_VERTX_PORT = re.compile(r"\"(?:http\.)?(?:server\.)?port\"\s{0,20}:\s{0,20}(\d{2,5})\b")
_PLACEHOLDER = re.compile(r"\$\{([A-Z][A-Z0-9_]*)(?::([^}\n]{0,300}))?\}")


def note_configuration(files: Files, root: str, seen: Seen) -> None:
    """Of Spring and its kind, of Ktor (HOCON) and of Vert.x (JSON)."""
    for name in ("application.properties", "application.yml", "application.yaml", "application-prod.yml"):
        _note_properties(files, join(root, f"src/main/resources/{name}"), seen)
    for path in files.named(("application.conf",), join(root, "src"), 3):
        _note_hocon(path, files.text(path) or "", seen)
    for path in files.paths(join(root, "src/main/conf"), 1):
        _note_vertx(path, files.text(path) or "", seen)


def _note_properties(files: Files, path: str, seen: Seen) -> None:
    """`${NAME:default}` anywhere, and the port."""
    text = files.text(path) or ""
    for found in matches(_PLACEHOLDER, text):
        line = text.count("\n", 0, found.start()) + 1
        seen.read(found[1], path, line, required=found[2] is None, default=found[2])
    if said := _PROPERTY_PORT.search(text) or _YAML_PORT.search(text):
        setting, digits = _PLACEHOLDER.search(said[1]), re.search(r"(\d{2,5})\D*$", said[1])
        port = int(digits[1]) if digits and 0 < int(digits[1]) < 65536 else None
        line = text.count("\n", 0, said.start(1)) + 1
        seen.listens.insert(0, Listen(path, line, port, setting[1] if setting else None))


def _note_hocon(path: str, text: str, seen: Seen) -> None:
    """Of Ktor: a port, and perhaps the setting that wins over it."""
    if "ktor" in text and (said := _HOCON_PORT.search(text)):
        setting = _HOCON_SETTING.search(text)
        line = text.count("\n", 0, said.start(1)) + 1
        seen.listens.insert(0, Listen(path, line, int(said[1]), setting[1] if setting else None))
        if setting:
            seen.read(setting[1], path, line, default=said[1])


def _note_vertx(path: str, text: str, seen: Seen) -> None:
    """What `config().getInteger("http.port")` finds."""
    found = _VERTX_PORT.search(text[:100_000])
    if found and path.endswith(".json") and 0 < int(found[1]) < 65536:
        seen.listens.insert(0, Listen(path, text.count("\n", 0, found.start()) + 1, int(found[1])))

"""Archives (`war`) that a server runs: which one, and on which port."""

import re
from dataclasses import dataclass

from iarnet.analysis.base import Files
from iarnet.analysis.ecosystems.java_manifests import JavaProject
from iarnet.analysis.ecosystems.manifests import join
from iarnet.analysis.recipes.java import LIBERTY, TOMCAT, WILDFLY, WarServer


@dataclass(frozen=True)
class Served:
    """`ports` with the file and line that say so; the server's own where nothing does."""

    server: WarServer
    ports: tuple[int, ...]
    file: str
    line: int | None = None


_OF_MARKER = (
    (re.compile(r"liberty-maven-plugin|io\.openliberty|websphere", re.IGNORECASE), LIBERTY),
    (
        re.compile(
            r"wildfly|jboss|eap-maven-plugin|weblogic|jakarta\.jakartaee-api|javaee-api|glassfish", re.IGNORECASE
        ),
        WILDFLY,
    ),
)
_ENDPOINT = re.compile(r"<httpEndpoint\b[^>]{0,500}>")
_ATTRIBUTE = re.compile(r"\bhttps?Port=\"(\d{2,5})\"")
_OPTION = re.compile(r"-Djboss\.https?\.port=(\d{2,5})")
_CONFIGURED = "src/main/liberty/config/server.xml"


def served(files: Files, project: JavaProject) -> Served:
    text = (files.text(project.manifest) or "")[:300_000]
    server = next((server for expression, server in _OF_MARKER if expression.search(text)), TOMCAT)
    path = join(project.root, _CONFIGURED)
    configured = (files.text(path) or "")[:300_000]
    endpoint = _ENDPOINT.search(configured)
    if endpoint and (found := _ATTRIBUTE.findall(endpoint[0])):
        return Served(server, _valid(found, server), path, configured.count("\n", 0, endpoint.start()) + 1)
    option = _OPTION.search(text)
    if option:
        line = text.count("\n", 0, option.start()) + 1
        return Served(server, _valid(_OPTION.findall(text)[:1], server), project.manifest, line)
    return Served(server, (server.port,), project.manifest)


def _valid(found: list[str], server: WarServer) -> tuple[int, ...]:
    return tuple(dict.fromkeys(int(text) for text in found if 0 < int(text) < 65536)) or (server.port,)

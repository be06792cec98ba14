"""The port in a file of settings that a program brings: Viper's, Beego's, Revel's, the `config` crate's."""

import re

from iarnet.analysis.base import Files
from iarnet.analysis.ecosystems.manifests import join
from iarnet.analysis.ecosystems.sightings import Listen

LIMIT = 100_000
_OWN = "conf/app.conf"
_NAMES = (
    _OWN,
    *(
        f"{folder}{name}.{suffix}"
        for folder in ("", "config/", "configs/", "configuration/", "settings/")
        for name in ("config", "default", "base", "settings", "application")
        for suffix in ("yaml", "yml", "toml")
    ),
)
_SECTIONS = "server|application|app|http|web|api"
_PORT = re.compile(
    r"^(?:httpport|http\.port)[ \t]{0,9}=[ \t]{0,9}(\d{2,5})\b"
    rf"|^(?:{_SECTIONS}):[ \t]{{0,9}}\n(?:[ \t]{{1,40}}[^\n]{{0,200}}\n){{0,6}}?[ \t]{{1,40}}(?:port|addr|host):"
    r"[ \t]{0,9}[\"']?(?:[\w.]{0,60}:)?(\d{2,5})\b"
    rf"|^\[(?:{_SECTIONS})\][ \t]{{0,9}}\n(?:[^\[\n]{{0,200}}\n){{0,6}}?port[ \t]{{0,9}}=[ \t]{{0,9}}(\d{{2,5}})\b",
    re.MULTILINE,
)


def configured(files: Files, root: str, *, serves: bool) -> Listen | None:
    """The first of the usual files that says one. `serves`: the code opens a port, so that a file may say which."""
    for name in _NAMES if serves else (_OWN,):
        path = join(root, name)
        found = _PORT.search((files.text(path) or "")[:LIMIT])
        port = int(next(group for group in found.groups() if group)) if found else 0
        if found and 0 < port < 65536:
            return Listen(path, found.string.count("\n", 0, found.end()) + 1, port)
    return None

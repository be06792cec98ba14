"""Other components in the text of a component: addresses that its code, its settings or its proxy name."""

from collections.abc import Iterator
from dataclasses import dataclass

from iarnet.analysis.base import Files, Match
from iarnet.analysis.draft import Draft, Findings
from iarnet.analysis.names import words

_URL = (
    r"\b(?:https?|wss?|grpc|tcp|lb)://([A-Za-z][A-Za-z0-9_-]{0,60}|127\.0\.0\.1)(?::([0-9]{2,5}))?(?=[/\"'`\s,;)}]|$)"
)
_PROXY = (
    r"(?:proxy_pass|grpc_pass|reverse_proxy|uwsgi_pass|fastcgi_pass|server|ProxyPass\s{1,20}\S{1,100}|balance|to)\s{1,20}(?:\w{1,80}://)?"
    r"([A-Za-z][A-Za-z0-9_-]*)(?::([0-9]{2,5}))?(?:[/;]|\s|$)"
)
_VARIABLE = r"(?:proxy_pass|grpc_pass|uwsgi_pass|fastcgi_pass)\s{1,20}(?:\w{1,80}://)?\$\{?([A-Z][A-Z0-9_]+)"
_CODE = (".js", ".mjs", ".cjs", ".ts", ".tsx", ".jsx", ".vue", ".svelte", ".py", ".go", ".java", ".kt", ".rb", ".php",
         ".rs", ".cs", ".ex", ".exs", ".json", ".properties", ".yml", ".yaml", ".toml", ".env",
         ".env.example")  # fmt: skip
_CONFIGURATIONS = ("conf", ".template", ".cfg", "Caddyfile", "haproxy.cfg")
_HERE = ("localhost", "127.0.0.1")
_ASIDE = words("test tests __tests__ spec docs doc README examples fixtures e2e mocks")
_LOCKS = ("package-lock.json", "composer.lock", "pnpm-lock.yaml")
FRONT_KINDS = ("web", "static")


@dataclass(frozen=True)
class Mention:
    """`sure`: the component is named, not just its port."""

    source: Draft
    target: Draft
    text: str
    file: str
    line: int
    sure: bool


def addresses(files: Files, findings: Findings) -> Iterator[Mention]:
    """In code and settings: a URL whose host is another component; for what browsers see, also one whose port on this
    machine is another's alone, as developers start both beside each other."""
    programs = [d for d in findings.drafts if d.root is not None and not d.service]
    for draft in programs if len(programs) > 1 else ():
        for match in _urls(files, draft.root or "."):
            parts = match.path.split("/")
            if not _ASIDE.isdisjoint(parts) or parts[-1] in _LOCKS or owner(findings, match.path) is not draft:
                continue
            host, port = match.groups[0].lower(), match.groups[1]
            here = host in _HERE
            target = _at(findings, draft, port) if here else called(findings, draft, host)
            if target and not (here and draft.kind not in FRONT_KINDS):
                yield Mention(draft, target, match.text.strip()[:120], match.path, match.line, not here)


def _urls(files: Files, root: str) -> list[Match]:
    return files.once(f"urls {root}", lambda: list(files.grep(_URL, root, _CODE)))


def proxies(files: Files, findings: Findings) -> Iterator[Mention]:
    """In the configuration of a proxy: by name, else by a port that only one other component has."""
    for draft in findings.drafts:
        if draft.root is None:
            continue
        for match in files.grep(_PROXY, draft.root, _CONFIGURATIONS):
            if owner(findings, match.path) is not draft:
                continue
            target = called(findings, draft, match.groups[0].lower()) or _at(findings, draft, match.groups[1])
            if target:
                yield Mention(draft, target, match.text.strip()[:120], match.path, match.line, sure=True)


def proxy_settings(files: Files, draft: Draft) -> dict[str, tuple[str, int]]:
    """The settings that a proxy's configuration takes addresses from, with file and line."""
    found = files.grep(_VARIABLE, draft.root or ".", _CONFIGURATIONS) if draft.root else ()
    return {match.groups[0]: (match.path, match.line) for match in found}


def owner(findings: Findings, path: str) -> Draft | None:
    """The component with the deepest folder that holds the file."""
    holding = [d for d in findings.drafts if d.root and (d.root == "." or path.startswith(d.root + "/"))]
    return max(holding, key=lambda d: len(d.root or ""), default=None)


def called(findings: Findings, source: Draft, host: str) -> Draft | None:
    """The component of that name; `web2` is one more of `web`, `my_api` is `my-api`; or the only one whose name ends
    with it."""
    plain = host.replace("_", "-")
    names = (plain, plain.rstrip("0123456789-"), plain.removesuffix("-app"), plain.removesuffix("-service"))
    found = [draft for name in dict.fromkeys(names) if name and (draft := findings.get(name))]
    ending = [draft for draft in findings.drafts if draft.name.endswith(f"-{plain}") and not draft.service]
    found += ending if len(ending) == 1 else []
    return next((draft for draft in found if draft is not source), None)


def _at(findings: Findings, source: Draft, port: str) -> Draft | None:
    if not port or source.port == int(port):
        return None
    found = [d for d in findings.drafts if d is not source and not d.service and d.port == int(port)]
    return found[0] if len(found) == 1 else None

"""What analysis finds: in an application, in a repository, or, without any node, in a folder."""

import asyncio
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from iarnet.analysers.reading import analysis
from iarnet.analysis.document import document
from iarnet.cli.arguments import Credential, Ref, Subdir, is_app
from iarnet.cli.follow import follow
from iarnet.cli.session import Session, session_of
from iarnet.errors import NodeUnreachable, NotFound
from iarnet.models.analysis import Analysis
from iarnet.models.quantity import format_millis, format_size
from iarnet.models.source import GitSource
from iarnet.sources.base import Tree
from iarnet.sources.folder import FolderTree

Explain = Annotated[bool, typer.Option("--explain", help="also where each fact comes from")]
WorkTree = Annotated[bool, typer.Option("--work-tree", help="of a folder in Git, the files as they are, not HEAD")]


# A little longer than the node takes.
_PATIENCE_S = 310.0


def analyze(
    ctx: typer.Context,
    what: Annotated[
        str, typer.Argument(metavar="APP|PATH|URL", help="shop, ./shop or an address", show_default=False)
    ],
    explain: Explain = False,
    work_tree: WorkTree = False,
    ref: Ref = "",
    subdir: Subdir = "",
    credential: Credential = None,
) -> None:
    """What components there are, what they need and how they are run. A path needs no node."""
    session = session_of(ctx)
    folder = (session.cwd / Path(what).expanduser()).resolve()
    if is_app(what):
        found = _of_app(session, what)
    elif folder.is_dir():
        found = asyncio.run(_here(session, folder, ref=ref, subdir=subdir, work_tree=work_tree))
    else:
        found = _of_repository(session, GitSource(url=what, ref=ref, subdir=subdir, credential=credential))
    if session.show.json:
        return session.show.document(document(found))
    return _print(session, found, explain)


def _of_app(session: Session, app: str) -> Analysis:
    try:
        follow(session, session.node.post("apps", app, "analyze"))
        return analysis(session.node.get("apps", app, "analysis"))
    except NotFound as error:
        if (session.cwd / app).is_dir():
            hint = f"for the folder write ./{app}"
            raise NotFound(error.message, where=error.where, hint=hint) from error
        raise


def _of_repository(session: Session, git: GitSource) -> Analysis:
    """By the node, which has its rules and the credentials; where none was ever started, here."""
    try:
        node = session.node
    except NodeUnreachable:
        if git.credential:
            raise
        session.show.note("no node runs here: it is fetched and analysed by this command itself")
        return asyncio.run(_fetched(session, git, allow_file=False))
    return analysis(node.post("analyses", body=git.model_dump(), within_s=_PATIENCE_S))


async def _here(session: Session, folder: Path, *, ref: str, subdir: str, work_tree: bool) -> Analysis:
    top = next((p for p in (folder, *folder.parents) if (p / ".git").exists()), None)
    if top is None or work_tree:
        return _analysis(FolderTree(folder / subdir))
    inside = (folder / subdir).resolve().relative_to(top).as_posix()
    session.show.note(f"as it is at {ref or 'HEAD'}; --work-tree takes the files as they are now")
    source = GitSource(url=f"file://{top}", ref=ref, subdir="" if inside == "." else inside)
    return await _fetched(session, source, allow_file=True)


async def _fetched(session: Session, git: GitSource, *, allow_file: bool) -> Analysis:
    # GitPython takes a while to load, and only this needs it.
    from iarnet.sources.git import GitSources, SourceLimits

    rules = session.settings.git
    with tempfile.TemporaryDirectory(prefix="iarnet-") as directory:
        sources = GitSources(
            Path(directory),
            allow_file=allow_file or rules.allow_file,
            allow_http=rules.allow_http,
            allow_private_hosts=rules.allow_private_hosts,
            limits=SourceLimits(rules.max_bytes, rules.max_files, rules.timeout_s),
            ca_bundle=rules.ca_bundle,
            proxy=rules.proxy or None,
            git=rules.binary,
        )
        source = await sources.fetch("analysis", git, await sources.resolve(git))
        tree: Tree = await sources.tree("analysis", source.tree)
        return _analysis(tree.subtree(git.subdir) if git.subdir else tree)


def _analysis(tree: Tree) -> Analysis:
    from iarnet.analysis.ecosystems.catalog import ECOSYSTEMS
    from iarnet.analysis.engine import analyze as analyze_tree

    return analyze_tree(tree, ECOSYSTEMS)


def _print(session: Session, found: Analysis, explain: bool) -> None:
    rows = [
        (
            c.name,
            c.kind,
            " ".join(filter(None, (c.language, c.framework))),
            _made(c),
            _ports(c),
            _needs(found, c.name),
            _room(c),
        )
        for c in found.components
    ]
    if rows:
        session.show.table(("component", "kind", "language", "made from", "ports", "needs", "room"), rows)
    else:
        session.show.text("no components found")
    for warning in found.warnings:
        place = f" ({warning.file}:{warning.line})" if warning.line else f" ({warning.file})" if warning.file else ""
        session.show.text(f"{warning.severity}: {warning.message}{place}  [{warning.code}]", style="yellow")
    if explain:
        session.show.text("")
        facts = [(e.fact, e.value, _place(e), f"{e.confidence:.2f}", e.detector) for e in found.evidence]
        session.show.table(("fact", "value", "seen in", "sure", "by"), facts)


def _made(component: Any) -> str:
    if component.image:
        return str(component.image)
    build = component.build
    return f"{build.dockerfile}" if build and build.dockerfile else f"{component.root} (generated)"


def _ports(component: Any) -> str:
    return ", ".join(f"{p.port}/{p.protocol}" + ("*" if p.publish != "no" else "") for p in component.ports)


def _needs(found: Analysis, name: str) -> str:
    return ", ".join(f"{e.to} ({e.condition})" for e in found.edges if e.from_ == name)


def _room(component: Any) -> str:
    return f"{format_millis(component.resources.cpu_millis)} cores, {format_size(component.resources.memory_bytes)}"


def _place(evidence: Any) -> str:
    return f"{evidence.file}:{evidence.line}" if evidence.line else str(evidence.file)

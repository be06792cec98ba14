"""`analyze`: from a tree of files to components, edges and the reasons for each."""

from collections.abc import Sequence

from pydantic import ValidationError

from iarnet.analysis.base import Ecosystem, StructureDetector
from iarnet.analysis.complete import complete
from iarnet.analysis.declared import declared
from iarnet.analysis.defaults import apply_defaults, assume_ports
from iarnet.analysis.draft import Draft, Findings
from iarnet.analysis.ecosystems.catalog import ECOSYSTEMS
from iarnet.analysis.edges import connect
from iarnet.analysis.files import TreeFiles
from iarnet.analysis.own_images import build_own
from iarnet.analysis.proxying import add_proxies
from iarnet.analysis.roots import Recogniser, discover
from iarnet.analysis.settings import add_services, complete_credentials, inject
from iarnet.analysis.structures.compose import Compose
from iarnet.analysis.structures.dockerfile import Dockerfile
from iarnet.analysis.structures.hints import Hints
from iarnet.analysis.structures.iarnet_yaml import IarnetYaml
from iarnet.analysis.structures.kubernetes import Kubernetes
from iarnet.analysis.structures.platforms import Platforms
from iarnet.analysis.structures.procfile import Procfile
from iarnet.analysis.structures.render import Render
from iarnet.errors import InvalidComponent, NothingToRun
from iarnet.models.analysis import Analysis, Warning
from iarnet.models.component import Component
from iarnet.sources.base import Tree

STRUCTURES: tuple[StructureDetector, ...] = (
    IarnetYaml(), Compose(), Render(), Platforms(), Procfile(), Kubernetes(), Hints(), Dockerfile()
)  # fmt: skip
MAX_COMPONENTS = 200
MAX_EVIDENCE = 5_000
MAX_WARNINGS = 500


def analyze(
    tree: Tree,
    ecosystems: Sequence[Ecosystem] = ECOSYSTEMS,
    structures: Sequence[StructureDetector] = STRUCTURES,
) -> Analysis:
    """Read-only and deterministic: the same tree gives the same analysis. Nothing of the repository is run.

    `structures` and `ecosystems` come strongest first. Raises `InvalidComponent` (with file and line) for a
    declaration that is broken, `NothingToRun` when there is no component.
    """
    files = TreeFiles(tree)
    findings = declared(files, structures)
    recognise = Recogniser(files, ecosystems)
    build_own(files, recognise, findings)
    if not findings.whole:
        discover(files, recognise, structures, findings)
    _refuse_extremes(findings, ecosystems, structures)
    complete(files, recognise, findings)
    add_proxies(files, findings)
    assume_ports(findings)
    add_services(findings)
    complete_credentials(findings)
    connect(files, findings)
    inject(files, findings)
    apply_defaults(findings)
    return _analysis(tree.hash, files, findings)


def _refuse_extremes(
    findings: Findings, ecosystems: Sequence[Ecosystem], structures: Sequence[StructureDetector]
) -> None:
    if not findings.drafts:
        looked = ", ".join([*(s.name for s in structures), *(e.name for e in ecosystems)])
        passed_over = "; ".join(f"{warning.file}: {warning.message}" for warning in findings.warnings)
        raise NothingToRun(
            "no component was found in this repository" + (f" ({passed_over})" if passed_over else ""),
            hint=f"looked for: {looked}. Add a Dockerfile, or an iarnet.yaml that says what runs",
        )
    if len(findings.drafts) > MAX_COMPONENTS:
        raise InvalidComponent(
            f"{len(findings.drafts)} components; an app has at most {MAX_COMPONENTS}",
            hint="choose a folder of the repository (`subdir`), or declare the components in iarnet.yaml",
        )


def _analysis(tree: str, files: TreeFiles, findings: Findings) -> Analysis:
    components = tuple(_harmless(_component(draft), draft) for draft in findings.drafts)
    warnings = [*findings.warnings, *(w for draft in findings.drafts for w in draft.warnings)]
    if files.exhausted:
        warnings.append(Warning(code="bounded", message="the repository is so large that not all of it was read"))
    return Analysis(
        tree=tree,
        components=components,
        edges=tuple(sorted(findings.edges, key=lambda edge: (edge.from_, edge.to))),
        evidence=(*(e for draft in findings.drafts for e in draft.evidence), *findings.evidence)[:MAX_EVIDENCE],
        warnings=tuple(dict.fromkeys(warnings))[:MAX_WARNINGS],
    )


def _component(draft: Draft) -> Component:
    try:
        return draft.finish()
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InvalidComponent(
            f"{draft.name}.{field}: {first['msg']}",
            where=next((f"{e.file}:{e.line}" for e in draft.evidence), draft.root or draft.name),
            component=draft.name,
        ) from error


def _harmless(component: Component, draft: Draft) -> Component:
    """Without what a repository can't grant itself."""
    if not component.powers:
        return component
    asked = " ".join(component.capabilities)
    draft.warn(
        "capability-withheld",
        f"{draft.name} asks for {', '.join(component.powers)}, which only you can grant:"
        f' --set {draft.name}.capabilities="{asked}"',
    )
    kept = tuple(name for name in component.capabilities if name not in component.powers)
    return component.model_copy(update={"capabilities": kept})

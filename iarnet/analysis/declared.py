"""The components that files declare, strongest file first."""

import posixpath
from collections.abc import Sequence

from iarnet.analysis.base import Clue, Declared, Files, Structure, StructureDetector
from iarnet.analysis.draft import Draft, Findings
from iarnet.analysis.names import did_you_mean
from iarnet.errors import InvalidComponent
from iarnet.models.analysis import Evidence, Warning


def declared(files: Files, structures: Sequence[StructureDetector]) -> Findings:
    """The strongest structure of a whole application; what weaker ones add to the same components.

    A structure that only has ready-made images (a database for development, say) leaves `whole` empty: the
    program beside it is not in it.
    """
    findings = Findings()
    for detector in structures:
        structure = detector.read(files) if detector.whole else None
        if structure is None:
            continue
        if findings.drafts:
            _supplement(findings, structure, detector.name)
        elif structure.components:
            _begin(findings, structure, detector.name)
            if any(_has_code(component) for component in structure.components):
                findings.whole = detector.name
        else:
            findings.warnings += structure.warnings
    _check_roots(files, findings)
    return findings


def draft_of(component: Declared, detector: str) -> Draft:
    draft = Draft(component.name, component.root, dict(component.facts))
    draft.env = {variable.name: variable for variable in draft.facts.pop("env", ())}
    for clue in component.clues:
        draft.witness(clue, detector)
    return draft


def edge_evidence(clue: Clue, detector: str) -> Evidence:
    return Evidence(
        fact=clue.field,
        value=clue.value,
        file=clue.file,
        line=clue.line,
        confidence=clue.confidence,
        detector=detector,
    )


def _has_code(component: Declared) -> bool:
    return component.root is not None or "build" in component.facts or "image" not in component.facts


def _begin(findings: Findings, structure: Structure, detector: str) -> None:
    findings.drafts = [draft_of(component, detector) for component in structure.components]
    findings.edges = list(structure.edges)
    findings.evidence += [edge_evidence(clue, detector) for clue in structure.edge_clues]
    findings.warnings += structure.warnings


def _supplement(findings: Findings, structure: Structure, detector: str) -> None:
    """Facts of a weaker file about components that a stronger one declared."""
    for component in structure.components:
        draft = findings.get(component.name)
        if draft is None:
            findings.warnings.append(_left_out(component, detector, findings))
            continue
        clues = {clue.field: clue for clue in component.clues}
        for name, value in component.facts.items():
            if name == "env":
                for variable in value:
                    draft.set(variable.name, variable.value, variable.secret)
            elif name not in ("image", "build") or not {"image", "build"} & set(draft.facts):
                draft.offer(name, value, clues.get(name), detector)
        draft.root = draft.root or component.root


def _left_out(component: Declared, detector: str, findings: Findings) -> Warning:
    place = component.clues[0] if component.clues else Clue("", "", "")
    message = f"{component.name} is only declared in {detector}; {findings.whole or 'a stronger file'} leaves it out"
    return Warning(code="left-out", message=message, file=place.file or None, line=place.line, severity="info")


def _check_roots(files: Files, findings: Findings) -> None:
    for draft in findings.drafts:
        root = draft.root
        if root in (None, ".", "") or files.paths(root):
            continue
        folders = {posixpath.dirname(path) for path in files.paths()}
        where = next((f"{e.file}:{e.line}" for e in draft.evidence), "")
        raise InvalidComponent(
            f"{draft.name}: the repository has no folder {root!r}",
            where=where,
            component=draft.name,
            hint=did_you_mean(root or "", folders - {""}),
        )

"""`python -m bench.analysis DIR [--misses]`: analyse all projects below a folder, and score what is expected of them.

Expectations are read as their authors wrote them: Railpack's, Nixpacks', Alizer's, and compose files (which are
hidden to see what is inferred without). Without expectations it counts crashes, hangs, reads outside, and time.
"""

import argparse
import os
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from bench.corpora.case import Case
from bench.corpora.commands import meaning
from bench.corpora.composed import Count, compared, losses, withheld
from bench.corpora.found import found
from bench.large import large
from bench.report import Figure, table
from iarnet.analysis.engine import analyze
from iarnet.errors import IarnetError, NothingToRun
from iarnet.models.analysis import Analysis
from iarnet.models.component import Component
from iarnet.sources.folder import FolderTree

LIMIT_S = 10
_SAME = ({"javascript", "typescript"}, {"java", "kotlin"}, {"c", "c++"})


@dataclass
class Score:
    """Of one measure: how many of how many, and what was not."""

    right: int = 0
    cases: int = 0
    misses: list[str] = field(default_factory=list)

    def take(self, case: Case, good: bool, expected: object, got: object) -> None:
        self.cases += 1
        self.right += good
        if not good:
            self.misses.append(f"{case.corpus}/{case.name}: {expected!r}, not {got!r}")


@dataclass
class Scores:
    measures: dict[str, Score] = field(default_factory=dict)
    components: Count = field(default_factory=Count)
    edges: Count = field(default_factory=Count)
    hidden: int = 0
    seconds: list[float] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)

    def of(self, name: str) -> Score:
        return self.measures.setdefault(name, Score())


class _Hang(BaseException):
    """No `Exception`: nothing may swallow it."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.analysis", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--misses", action="store_true", help="also every case that was not as expected")
    parser.add_argument("--large", action="store_true", help="also a made repository of 80,000 files")
    parser.add_argument("--only", default="", help="projects whose name has this in it")
    given = parser.parse_args()
    cases = [case for case in found(given.folder.resolve()) if given.only in f"{case.corpus}/{case.name}"]
    if not cases:
        parser.error(f"there is no project in {given.folder}")
    scores = score(cases)
    if given.misses:
        for name, one in scores.measures.items():
            print(f"\n{name}", *one.misses, sep="\n  ")
    rows = [*figures(scores), *(large() if given.large else ())]
    print(f"\n{len(cases)} projects\n\n{table(rows)}")


def score(cases: list[Case]) -> Scores:
    scores = Scores()
    signal.signal(signal.SIGALRM, _hang)
    watch = _Watch(scores.outside)
    for case in cases:
        signal.alarm(LIMIT_S)
        try:
            _one(case, scores, watch)
        except _Hang:
            scores.of("no hang").take(case, False, f"an end within {LIMIT_S} s", "none")
        except Exception as error:  # a crash is what is looked for
            scores.of("no crash").take(case, False, "an analysis or a refusal", error)
        finally:
            signal.alarm(0)
            watch.inside = None
    return scores


def _hang(_number: int, _frame: FrameType | None) -> None:
    raise _Hang


class _Watch:
    """Notes every file that is opened outside of the project while one is analysed; Python's own modules may be."""

    def __init__(self, outside: list[str]) -> None:
        self.inside: str | None = None
        self._outside = outside
        self._own = tuple(os.path.realpath(path) for path in (sys.prefix, sys.base_prefix, Path(__file__).parents[1]))
        sys.addaudithook(self._hear)

    def _hear(self, event: str, given: tuple[Any, ...]) -> None:
        if self.inside is None or event != "open" or not isinstance(given[0], str | bytes):
            return
        path = os.path.realpath(os.fsdecode(given[0]))
        if not path.startswith((self.inside, *self._own)):
            self._outside.append(path)


def _one(case: Case, scores: Scores, watch: _Watch) -> None:
    watch.inside = str(case.path)
    began = time.process_time()
    tree = FolderTree(case.path)
    analysis, refusal = None, None
    try:
        analysis = analyze(tree)
    except NothingToRun as error:
        analysis, refusal = Analysis(tree=tree.hash), error.message
    except IarnetError as error:
        refusal = f"{error.code} {error.message} ({error.where})"
    scores.seconds.append(time.process_time() - began)
    scores.of("no hang").take(case, True, "", "")
    scores.of("no crash").take(case, True, "", "")
    if case.composed:
        lost = losses(analysis) if analysis else [refusal]
        scores.of("compose file read without loss").take(case, not lost, "no loss", lost)
        asked = withheld(analysis) if analysis else []
        scores.of("compose file asks nothing of the host").take(case, not asked, "nothing", asked)
        if analysis and any(component.build for component in analysis.components):
            _hidden(case, scores, analysis, tree)
    _compare(case, scores, analysis or Analysis(tree=tree.hash), refusal)


def _hidden(case: Case, scores: Scores, analysis: Analysis, tree: FolderTree) -> None:
    scores.hidden += 1
    components, edges = compared(analysis, tree)
    scores.components += components
    scores.edges += edges
    scores.of("with its compose file hidden").take(
        case, not (components.missing + components.wrong + edges.missing + edges.wrong), components, edges
    )


def _compare(case: Case, scores: Scores, analysis: Analysis, refusal: str | None) -> None:
    own = [component for component in analysis.components if component.image is None]
    main = next(
        (component for component in own if component.kind in ("web", "api", "static")), own[0] if own else None
    )
    if case.language:
        got = main.language if main else refusal
        scores.of("primary language").take(case, _same(case.language, got), case.language, got)
    if case.framework:
        frameworks = [component.framework for component in own]
        good = any(name == case.framework or _near(name) == _near(case.framework) for name in frameworks)
        scores.of("framework").take(case, good, case.framework, frameworks)
    if case.start:
        _start(case, scores, own, refusal)
    if case.ports:
        ports = {port.port for component in own for port in component.ports}
        scores.of("port").take(case, ports.issuperset(case.ports), case.ports, sorted(ports) or refusal)
    if case.components is not None:
        roots = sorted({component.root for component in own})
        count = max(0, len(roots))
        scores.of("number of components").take(case, count == case.components, case.components, roots or refusal)


def _start(case: Case, scores: Scores, own: list[Component], refusal: str | None) -> None:
    expected = meaning(case.start or "", case.language)
    got = [c.start_command or " ".join((*(c.entrypoint or ()), *(c.command or ()))) for c in own]
    means = [meaning(text, component.language) for text, component in zip(got, own, strict=True)]
    scores.of("start command").take(case, expected in means, expected, means or refusal)


def _same(expected: str, got: str | None) -> bool:
    return expected == got or any({expected, got} <= same for same in _SAME)


def _near(name: str | None) -> str:
    return (name or "").lower().replace("-", "").replace(" ", "").removesuffix(".js").removesuffix("js")


_GOALS = {"primary language": 0.99, "framework": 0.97, "start command": 0.95, "port": 0.95,
          "compose file read without loss": 1.0, "no crash": 1.0, "no hang": 1.0}  # fmt: skip


def figures(scores: Scores) -> list[Figure]:
    rows = []
    for name, one in scores.measures.items():
        share, goal = one.right / one.cases, _GOALS.get(name)
        met = None if goal is None else share >= goal
        rows.append(
            Figure(name, f"{share:.1%} ({one.right} of {one.cases})", f"≥ {goal:.0%}" if goal else "", met=met)
        )
    if scores.hidden:
        for name, count, least in (("components", scores.components, 0.95), ("edges", scores.edges, 0.85)):
            said = f"F1 {count.f1:.3f} ({count.right} right, {count.missing} missing, {count.wrong} wrong)"
            label = f"{name} with the compose file hidden, {scores.hidden} projects"
            rows.append(Figure(label, said, f"≥ {least}", met=count.f1 >= least))
    rows.append(Figure("reads outside the tree", str(len(scores.outside)), "0", met=not scores.outside))
    p95 = sorted(scores.seconds)[int(0.95 * (len(scores.seconds) - 1))] if scores.seconds else 0.0
    worst = max(scores.seconds, default=0.0)
    rows.append(
        Figure("CPU time", f"p95 {p95 * 1000:.0f} ms, at most {worst * 1000:.0f} ms", "p95 ≤ 300 ms", met=p95 <= 0.3)
    )
    return rows


if __name__ == "__main__":
    main()

"""Whatever is in the files of clusters and platforms: an analysis, or a refusal that explains itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iarnet.analysis.document import document
from iarnet.analysis.engine import analyze
from iarnet.analysis.memory import MemoryTree
from iarnet.errors import IarnetError
from tests.depth import LONGEST_S, searching
from tests.unit.analysis.structures import test_kubernetes, test_render

CODE = {**test_kubernetes.API, "web.js": "require('http')"}
GOOD = {
    "k8s/a.yaml": test_kubernetes.DEPLOYMENT,
    "k8s/b.yaml": test_kubernetes.CACHE + "---\n" + test_kubernetes.SETTINGS,
    "base/kustomization.yaml": "resources: [a.yaml]\nimages: [{name: a, newTag: '1'}]\npatches: [{path: x}]\n",
    "chart/Chart.yaml": "name: orders\n",
    "chart/values.yaml": "image: {repository: acme/api}\nservice: {port: 80}\nresources: {limits: {cpu: 1}}\n",
    "render.yaml": test_render.BLUEPRINT,
    "app.json": '{"env": {"A": "b", "C": {"generator": "secret"}}, "addons": ["heroku-redis"]}',
    "vercel.json": '{"env": {"A": "@b"}, "build": {"env": {"C": "d"}}}',
    ".devcontainer/devcontainer.json": '{"forwardPorts": [1, "a:2"], "postCreateCommand": "x"}',
}
PARTS = [
    "{",
    "}",
    "[",
    "]",
    ": ",
    "- ",
    "\n",
    "  ",
    "'",
    '"',
    "*a ",
    "&a ",
    "<<: *a",
    "null",
    "-1",
    "99999",
    "9" * 30,
    "~",
]
PARTS += [
    "---\n",
    "{{ x }}",
    "../",
    "/",
    "#",
    "!!int ",
    "ü",
    "\u2028",
    "\0",
    "name",
    "containers",
    "image",
    "80",
    "Gi",
    "[[[[",
]


def ends_well(files: dict[str, str]) -> None:
    refusal = "none"
    try:
        document(analyze(MemoryTree({**CODE, **{path: text.encode() for path, text in files.items()}})))
    except IarnetError as refused:
        refusal = refused.message
    assert refusal


@pytest.mark.search
@pytest.mark.timeout(LONGEST_S)
@searching(usually=120, deep=30_000)
@given(
    chosen=st.sets(st.sampled_from(sorted(GOOD)), min_size=1, max_size=3),
    damage=st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 1800), st.integers(0, 9), st.sampled_from(PARTS)), max_size=5
    ),
)
def test_damaged_declarations(chosen: set[str], damage: list[tuple[int, int, int, str]]) -> None:
    names = sorted(chosen)
    files = {name: GOOD[name] for name in names}
    for target, at, cut, part in damage:
        name = names[target % len(names)]
        at %= len(files[name]) + 1
        files[name] = files[name][:at] + part + files[name][at + cut :]
    ends_well(files)


def test_many_documents_and_deep_ones_end() -> None:
    pod = "apiVersion: v1\nkind: Pod\nmetadata: {{name: p{}}}\nspec: {{containers: [{{image: redis}}]}}\n---\n"
    many = "".join(pod.format(number) for number in range(300))
    deep = "apiVersion: v1\nkind: Pod\nmetadata: " + "[" * 5_000
    bomb = "kind: Pod\napiVersion: v1\na: &a [x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(
        f"{new}: &{new} [{', '.join(['*' + old] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    for text in (many, deep, bomb, "kind: Pod\napiVersion: v1\n" + "- " * 5_000):
        for name in ("k8s/a.yaml", "render.yaml", "app.json", "kustomization.yaml"):
            ends_well({name: text})
        ends_well({"chart/Chart.yaml": "name: a\n", "chart/values.yaml": text})

"""Whatever is in the files: an analysis, or a refusal that explains itself."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from iarnet.analysis.document import document
from iarnet.analysis.ecosystems.catalog import ECOSYSTEMS
from iarnet.analysis.engine import analyze
from iarnet.analysis.memory import MemoryTree
from iarnet.errors import IarnetError

NAMES = ("iarnet.yaml", "compose.yaml", "Dockerfile", "api/Dockerfile", "Procfile", ".env", "package.json", "app.py")
GOOD = {
    "iarnet.yaml": "components:\n  web: {root: ., ports: [80], publish: 8080, needs: {db: healthy}, env: {A: 1}}\n"
    "  db: {image: 'postgres:15'}\n",
    "compose.yaml": "services:\n  web:\n    build: {context: ., args: [A=1]}\n    ports: ['80:80']\n"
    "    env_file: .env\n"
    "    environment: {A: '${B:-${C}}'}\n    depends_on: {db: {condition: service_healthy}}\n"
    "    volumes: ['./x:/x']\n  db: {image: 'mysql:8', healthcheck: {test: [CMD, a], interval: 1s}}\n",
    "Dockerfile": 'FROM a AS b\nARG P=80\nEXPOSE $P\nHEALTHCHECK --interval=2s CMD a b\nCOPY a b\nCMD ["x"]\n',
    "Procfile": "web: run $PORT\nrelease: a\n",
    ".env": "B=1\n",
    "app.py": "import os\nfrom flask import Flask\napp = Flask(__name__)\nV = os.environ['REDIS_URL']\n",
    "requirements.txt": "flask\nredis\n",
}
FRAGMENTS = [
    "${",
    "}",
    "$",
    "*a",
    "&a ",
    "<<: ",
    "[",
    "]",
    "{",
    "}",
    ": ",
    "- ",
    "\n",
    "  ",
    "'",
    '"',
    "null",
    "-1",
    "\\",
]
FRAGMENTS += [
    "9" * 30,
    "1e999",
    "0x10",
    "../",
    "/",
    "#",
    "|",
    "!!int ",
    "=",
    "ü",
    "\u2028",
    "\0",
    "\x85",
    "~",
    "99999:1",
]


def ends_well(files: dict[str, bytes]) -> None:
    refusal = ""
    try:
        document(analyze(MemoryTree(files), ECOSYSTEMS))
    except IarnetError as refused:
        refusal = refused.message or "empty"
    assert refusal != "empty"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(NAMES), st.binary(max_size=300), min_size=1))
def test_any_bytes_in_any_file(files: dict[str, bytes]) -> None:
    ends_well(files)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    chosen=st.sets(st.sampled_from(sorted(GOOD)), min_size=1),
    damage=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 8), st.sampled_from(FRAGMENTS)), max_size=4),
    target=st.integers(0, 10),
)
def test_damaged_files(chosen: set[str], damage: list[tuple[int, int, str]], target: int) -> None:
    names = sorted(chosen)
    files = {name: GOOD[name] for name in names}
    name = names[target % len(names)]
    for at, cut, fragment in damage:
        files[name] = files[name][:at] + fragment + files[name][at + cut :]
    ends_well({path: text.encode("utf-8", "surrogatepass") for path, text in files.items()})


def test_a_deep_and_wide_tree_ends() -> None:
    deep = {"/".join(["d"] * depth) + "/package.json": b"{}" for depth in range(1, 60)}
    wide = {f"f{number}/app.txt": b"" for number in range(2000)}
    ends_well(deep | wide)

"""Every generated Dockerfile as hadolint wants it."""

import json
import subprocess
import sys
from pathlib import Path

from iarnet.analysis.ecosystems.catalog import ECOSYSTEMS
from tests.unit.analysis.ecosystems.recognising import ask
from tests.unit.analysis.ecosystems.test_languages import PROJECTS
from tests.unit.analysis.ecosystems.test_recipes import PROGRAMS

IGNORED = {
    "DL3008": "distributions remove old versions: what asks for one soon can't be built any more",
    "DL3013": "what the project has not pinned is the newest",
    "DL3016": "as DL3013",
    "DL3059": "each step of a package manager is a layer, from which the next build goes on",
    "SC2016": "`$uri` is nginx's, and not the shell's",
}


def test_nothing_is_found_but_what_is_meant(tmp_path: Path) -> None:
    projects = PROGRAMS | {name: project.files for name, project in PROJECTS.items()}
    for name, files in projects.items():
        for number, ecosystem in enumerate(ECOSYSTEMS):
            profile = ask(ecosystem, files)
            if profile and profile.recipe:
                (tmp_path / f"{name}.{number}").write_text(profile.recipe)
    written = sorted(tmp_path.iterdir())
    assert len(written) >= len(projects)
    assert not _found(written)
    (tmp_path / "bad").write_text("FROM debian\nRUN cd /tmp && ls | wc\n")
    assert {"DL3006", "DL4006"} <= {finding["code"] for finding in _found([tmp_path / "bad"])}


def _found(files: list[Path]) -> list[dict[str, str]]:
    ignored = [word for code in IGNORED for word in ("--ignore", code)]
    program = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [program, "--format", "json", *ignored, *files], capture_output=True, text=True, check=False
    )
    assert done.stdout, done.stderr
    findings: list[dict[str, str]] = json.loads(done.stdout)
    return findings

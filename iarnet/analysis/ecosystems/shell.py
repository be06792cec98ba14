"""A shell script that starts everything, where there is nothing else."""

import re

from iarnet.analysis.base import Files, Profile
from iarnet.analysis.ecosystems import commands
from iarnet.analysis.ecosystems.manifests import join, names
from iarnet.analysis.ecosystems.notes import Notes
from iarnet.analysis.ecosystems.program import Outline, profile
from iarnet.analysis.recipes import dockerfile

ENTRIES = ("start.sh", "run.sh", "entrypoint.sh", "main.sh", "server.sh")
_SHELL = re.compile(r"#!\s{0,20}\S{0,60}?(?:/|\s)(bash|zsh|dash|ash|sh)\b")
_WAITS = re.compile(r"while\s{1,20}(?:true|:)|tail -f|sleep infinity")


class Shell:
    name = "shell"

    def recognise(self, files: Files, root: str, start: str | None = None) -> Profile | None:
        present = names(files, root)
        script = next((name for name in ENTRIES if name in present), None)
        if start:
            script = next(
                (w for w in commands.words(start) if w.removeprefix("./") in present and w.endswith(".sh")), None
            )
        if script is None:
            return None
        path = join(root, script.removeprefix("./"))
        text = files.text(path) or ""
        found = _SHELL.match(text)
        shell = found[1] if found else "sh"
        command = start or f"{shell} {script}"
        port = commands.port_in(text)
        outline = Outline(
            root,
            "shell",
            path,
            command,
            line=1,
            kind="web" if port else "worker" if _WAITS.search(text[:100_000]) else "job",
            fixed=port,
            recipe=lambda port, env: _recipe(shell, command, port),
        )
        return profile(outline, Notes())


def _recipe(shell: str, command: str, port: int | None) -> str:
    return dockerfile.joined(
        "FROM debian:bookworm-slim",
        dockerfile.apt((*(("zsh",) if shell == "zsh" else ()), "ca-certificates", "curl")),
        "RUN useradd --uid 10001 --create-home app && mkdir /app && chown 10001:10001 /app",
        "WORKDIR /app",
        "COPY --chown=10001:10001 . .",
        "USER 10001",
        dockerfile.expose(port),
        dockerfile.cmd(command),
    )

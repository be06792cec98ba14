"""Pieces of a Dockerfile that every recipe is made of: plain instructions, which the classic builder reads, too."""

import json
import re
import shlex

LIMIT = 4_000  # of a command that is looked into

_OPERATORS = re.compile(r"[&|;<>()\n]")
_ASSIGNMENTS = re.compile(r"^(?:[A-Za-z_][A-Za-z0-9_]*=(?:\"[^\"]*\"|'[^']*'|[^\s\"']*)\s+)+")
_QUOTED = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'[^']*'")


def joined(*blocks: str | None) -> str:
    """The lines of a Dockerfile; None is left out, "" parts two stages."""
    return "\n".join(block for block in blocks if block is not None) + "\n"


def run(*argv: str) -> str:
    """A `RUN` without a shell."""
    return f"RUN {json.dumps(list(argv))}"


def cmd(start: str) -> str:
    """`CMD` in exec form, so that the program itself gets the signals. A command that needs a shell is started by
    one that then gives way to the program."""
    if len(start) > LIMIT:
        return f"CMD {json.dumps(['/bin/sh', '-c', start])}"
    if needs_shell(start):
        return f"CMD {json.dumps(['/bin/sh', '-c', with_exec(start)])}"
    return f"CMD {json.dumps(shlex.split(start))}"


def apt(packages: tuple[str, ...]) -> str | None:
    if not packages:
        return None
    install = f"apt-get install --yes --no-install-recommends {' '.join(packages)}"
    return f"RUN apt-get update && {install} && rm -rf /var/lib/apt/lists/*"


def expose(port: int | None) -> str | None:
    return f"EXPOSE {port}" if port else None


def env(values: dict[str, str]) -> str | None:
    return "ENV " + " ".join(f"{name}={json.dumps(value)}" for name, value in values.items()) if values else None


def needs_shell(command: str) -> bool:
    bare = _QUOTED.sub("", command)
    if _OPERATORS.search(bare) or _ASSIGNMENTS.match(command) or re.search(r"[*~`]", bare):
        return True
    if "$" in re.sub(r"'[^']*'", "", command):
        return True
    try:
        return not shlex.split(command)
    except ValueError:
        return True


def with_exec(command: str) -> str:
    """`a && b` as `a && exec b`; what pipes or runs in the background is left as it is."""
    masked = _QUOTED.sub(lambda match: "x" * len(match[0]), command)
    if re.search(r"\|\||[|()\n`]|(?<!&)&(?!&)|<<", masked):
        return command
    cut = max((match.end() for match in re.finditer(r"&&|;", masked)), default=0)
    head, tail = command[:cut], command[cut:].strip()
    if not tail or tail.startswith(("exec ", "cd ", "export ", "set ")):
        return command
    prefix = "exec env " if _ASSIGNMENTS.match(tail) else "exec "
    return f"{head} {prefix}{tail}".strip()

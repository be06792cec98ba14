"""Why a build failed, and what to do."""

import re

from iarnet.builds.output import Output
from iarnet.errors import BuildFailed, IarnetError, ImageUnavailable
from iarnet.models.image import BuildRequest

_HINTS = (
    (
        r"requires BuildKit|[Uu]nknown flag|unknown instruction: EOF",
        "This engine's builder lacks what this step asks for (BuildKit): write it without, like chmod in a RUN.",
    ),
    (
        r"^(COPY|ADD) failed|file not found in build context|no source files",
        "The file is not in the build context, or .dockerignore leaves it out.",
    ),
    (r"[Nn]o space left on device", "Free disk space on the engine's host, for example with `docker system prune`."),
    (
        r"returned a non-zero code: 137|[Oo]ut of memory|heap limit",
        "The step ran out of memory: give the engine's host more, or build with less in parallel.",
    ),
    (r"certificate|CERT_|SSL", "The step doesn't trust a server: set builds.ca_bundle."),
    (
        r"[Tt]emporary failure|[Cc]ould not resolve|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|no such host|unreachable",
        "The step can't reach a server: look at builds.network and builds.proxy.",
    ),
    (r"returned a non-zero code: 127|not found", "The step runs a program that the base image doesn't have."),
)
_NO_IMAGE = re.compile(
    r"pull access denied|manifest (for .* )?(unknown|not found)|repository does not exist|no such host|dial tcp"
    r"|not found: manifest|toomanyrequests|Client\.Timeout|unauthorized|invalid reference format|lookup .* on ",
)


def build_failure(request: BuildRequest, output: Output, bases: tuple[str, ...]) -> IarnetError:
    log, where = output.end(), recipe_place(request)
    if output.instruction == "FROM" and _NO_IMAGE.search(output.error):
        image = next((base for base in bases if base in output.step), output.step.split()[-1])
        return ImageUnavailable(
            f"The base image {image} of {request.component} can't be had: {output.error}",
            where=where,
            hint="Check its name, load it on the engine, or name another one in builds.base_images.",
            component=request.component,
            log=log,
        )
    step = output.step.removeprefix("Step ") or "the beginning"
    return BuildFailed(
        f"{request.component} can't be built: step {step} failed: {output.error}",
        where=where,
        hint=_hint("\n".join((output.error, *log))),
        component=request.component,
        log=log,
    )


def refusal(request: BuildRequest, words: str) -> BuildFailed:
    """The engine did not even begin."""
    line = re.search(r"parse error (?:on )?line (\d+)", words)
    where = f"{recipe_place(request)}:{line[1]}" if line else recipe_place(request)
    return BuildFailed(
        f"{request.component} can't be built: {words}", where=where, hint=_hint(words), component=request.component
    )


def recipe_place(request: BuildRequest) -> str:
    return request.build.dockerfile or "the generated Dockerfile"


def _hint(text: str) -> str:
    found = (hint for pattern, hint in _HINTS if re.search(pattern, text, re.MULTILINE))
    return next(found, "The last lines of the output say why.")

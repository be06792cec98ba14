import time
import tracemalloc
from contextlib import suppress

import pytest

from iarnet.builds.recipe import Preamble, adapt, override
from iarnet.errors import BuildFailed


def text(source: str, preamble: Preamble | None = None, **base_images: str) -> str:
    return adapt(source, where="Dockerfile", args={}, base_images=base_images, preamble=preamble).text


@pytest.mark.parametrize("source", ["", "# nothing\n", "RUN x\n", 'FROM a\nRUN ["x\n\x00'])
def test_what_is_no_dockerfile(source: str) -> None:
    if source.startswith("FROM"):
        assert text(source)
        return
    with pytest.raises(BuildFailed) as error:
        text(source)
    assert error.value.where.startswith("Dockerfile")


def test_what_needs_no_change_stays_as_it_is() -> None:
    source = (
        "# escape=`\nARG A=1\nFROM a:$A AS one\nRUN echo `\n  # comment\n  two\n\nFROM one\nCOPY --from=one /a /b\n"
    )
    assert text(source, b="c") == source


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("RUN --mount=type=cache,target=/x pip install a", "RUN pip install a"),
        ("RUN --mount=target=/x,type=cache --mount=type=tmpfs,target=/t a", "RUN a"),
        ("RUN --mount=type=secret,id=a x", "RUN --mount=type=secret,id=a x"),
        ("COPY --link a b", "COPY a b"),
        ("COPY --chown=1:1 --link=true a b", "COPY --chown=1:1 a b"),
        ("RUN tool --link x", "RUN tool --link x"),
        ("HEALTHCHECK --start-interval=1s --interval=5s CMD x", "HEALTHCHECK --interval=5s CMD x"),
        ("RUN <<EOF\necho a\necho \"b\"\nEOF", 'RUN ["/bin/sh", "-c", "echo a\\necho \\"b\\"\\n"]'),
        ("RUN <<'EOF'\necho $a\nEOF", 'RUN ["/bin/sh", "-c", "echo $a\\n"]'),
    ],
)  # fmt: skip
def test_what_only_other_builders_know(source: str, expected: str) -> None:
    assert text(f"FROM a\n{source}\n").rstrip("\n") == f"FROM a\n{expected}"


def test_a_mount_on_a_line_of_its_own() -> None:
    source = "FROM a\nRUN --mount=type=cache,target=/x \\\n    --mount=type=cache,target=/y \\\n    make\n"
    assert "--mount" not in text(source)
    assert "make" in text(source)


def test_platforms_of_the_builder() -> None:
    assert text("FROM --platform=$BUILDPLATFORM a AS b\n") == "FROM a AS b\n"
    assert text("FROM --platform=${TARGETPLATFORM} a\n") == "FROM a\n"
    assert text("FROM --platform=linux/arm64 a\n") == "FROM --platform=linux/arm64 a\n"


def test_line_numbers_stay() -> None:
    result = text('FROM a\nRUN <<EOF\nx\ny\nEOF\nCMD ["z"]\n')
    assert result.splitlines()[5] == 'CMD ["z"]'


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("python:3.11", "mirror/python:3.11"),
        ("docker.io/library/python:3.11", "mirror/python:3.11"),
        ("python", "mirror/python"),
        ("node:20", "exact/node:20"),
        ("node:18", "node:18"),
        ("redis", "exact/redis:7"),
        ("registry:5000/python:3", "registry:5000/python:3"),
    ],
)
def test_overrides(image: str, expected: str) -> None:
    given = {"python": "mirror/python", "node:20": "exact/node:20", "redis:latest": "exact/redis:7"}
    assert override(image, given) == expected


def test_bases_and_arguments() -> None:
    recipe = adapt(
        "ARG V=3 W\nARG IMAGE=python:${V}\nFROM $IMAGE AS one\nARG X=1\nFROM one AS two\nFROM scratch\n"
        "FROM ${NONE:-node}:20\nCOPY --from=tools /a /b\nCOPY --from=0 /a /b\nCOPY --from=TWO /a /b\n",
        where="Dockerfile",
        args={"V": "4"},
        base_images={"python:4": "mine", "tools": "other", "one": "never"},
    )
    assert recipe.bases == ("mine", "node:20")
    assert recipe.declared == {"V", "W", "IMAGE", "X"}
    assert "COPY --from=other /a /b\nCOPY --from=0 /a /b\nCOPY --from=TWO /a /b" in recipe.text


def test_a_preamble_for_each_stage() -> None:
    preamble = Preamble("ca.pem", "/ca.pem", ("A", "B"))
    assert text("FROM a AS b\nRUN x\nFROM b\nFROM scratch\n", preamble) == (
        "FROM a AS b\nCOPY ca.pem /ca.pem\nARG A=/ca.pem\nARG B=/ca.pem\nRUN x\n"
        "FROM b\nARG A=/ca.pem\nARG B=/ca.pem\nFROM scratch\nARG A=/ca.pem\nARG B=/ca.pem\n"
    )


@pytest.mark.parametrize(
    "source",
    [
        "ARG a0=xxxxxxxxxx\n" + "".join(f"ARG a{n}={f'$a{n - 1}' * 10}\n" for n in range(1, 8)) + "FROM $a7\n",
        f"ARG a={'x' * 4000}\nFROM {'$a' * 30_000}\n",
        f"ARG a={'x' * 4000}\n" + "".join(f"ARG a{n}=$a\n" for n in range(20_000)) + "FROM b\n",
        f"ARG a={'x' * 5000}\nFROM b\n",
    ],
)
def test_arguments_that_grow_without_end(source: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(BuildFailed, match="too long") as error:
            text(source)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()
    assert error.value.where.startswith("Dockerfile:")


@pytest.mark.parametrize("source", ["RUN a" + "--mount=" * 8000, "FROM " + "${a:-" * 12_000])
def test_no_line_takes_long(source: str) -> None:
    before = time.process_time()
    with suppress(BuildFailed):
        text(f"FROM a\n{source}\n")
    # The parser alone takes one or two.
    assert time.process_time() - before < 4

import asyncio
from collections.abc import AsyncIterator

import pytest

from api import streams
from api.bodies import git_source, slug
from api.streams import Message, merge, stream
from iarnet.errors import InvalidInput, InvalidUrl, NotFound
from iarnet.models.change import RestartRequest


def message(text: str) -> Message:
    return Message("line", RestartRequest(component=text), id="7")


async def body(messages: AsyncIterator[Message]) -> list[str]:
    return [
        str(bytes(chunk), "utf-8") async for chunk in stream(messages).body_iterator if not isinstance(chunk, str)
    ]


async def test_a_message_has_a_name_a_number_and_one_line_of_data() -> None:
    async def one() -> AsyncIterator[Message]:
        yield message("a\nb")

    assert await body(one()) == ['event: line\nid: 7\ndata: {"component":"a\\nb"}\n\n']


async def test_an_error_in_the_middle_is_told_and_ends_the_stream() -> None:
    async def failing() -> AsyncIterator[Message]:
        yield message("a")
        raise NotFound("gone", hint="look elsewhere")

    told = await body(failing())
    assert len(told) == 2
    assert told[1].startswith("event: error\n")
    assert '"code":"NotFound"' in told[1]


async def test_a_silent_stream_is_kept_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "PING_S", 0.01)
    go_on = asyncio.Event()

    async def silent() -> AsyncIterator[Message]:
        await go_on.wait()
        yield message("late")

    told = []
    async for chunk in stream(silent()).body_iterator:
        told.append(chunk)
        if len(told) == 2:
            go_on.set()
    assert told[:2] == [b": ping\n\n", b": ping\n\n"]
    assert told[-1] == message("late").encode()


async def test_leaving_a_stream_ends_what_feeds_it() -> None:
    ended = asyncio.Event()

    async def endless() -> AsyncIterator[Message]:
        try:
            yield message("a")
            await asyncio.Event().wait()
        finally:
            ended.set()

    chunks = stream(endless()).body_iterator
    assert isinstance(chunks, AsyncIterator)
    await anext(chunks)
    reading = asyncio.ensure_future(_next(chunks))
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    async with asyncio.timeout(5):
        await ended.wait()


async def test_merging_gives_what_comes_first_and_all_of_it() -> None:
    first_may_go = asyncio.Event()

    async def first() -> AsyncIterator[str]:
        await first_may_go.wait()
        yield "a"

    async def second() -> AsyncIterator[str]:
        yield "b"
        yield "c"
        first_may_go.set()

    assert [item async for item in merge([first(), second()])] == ["b", "c", "a"]
    assert [item async for item in merge([])] == []  # type: ignore[var-annotated]


@pytest.mark.parametrize(
    ("title", "url", "name"),
    [
        ("My Web App", "", "my-web-app"),
        ("  --Shop!! ", "", "shop"),
        ("商店", "https://example.com/team/Shop_2.git/", "shop-2"),
        ("", "git@example.com:shop.git", "shop"),
        ("x" * 60, "", "x" * 40),
        ("a" * 39 + " b", "", "a" * 39),
    ],
)
def test_a_name_is_made_of_the_title_or_the_repository(title: str, url: str, name: str) -> None:
    assert slug(title, url) == name


def test_no_name_can_be_made_of_nothing() -> None:
    with pytest.raises(InvalidInput):
        slug("商店", "https://example.com/店.git")


@pytest.mark.parametrize("subdir", ["/etc", "..", "a/../../b", "a/.."])
def test_a_folder_outside_the_repository_is_refused(subdir: str) -> None:
    with pytest.raises(InvalidInput):
        git_source("https://example.com/r.git", "", subdir=subdir)


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(InvalidUrl) as refused:
        git_source("https://me:hunter2@example.com/r.git", "")
    assert "hunter2" not in str(refused.value.details())


async def _next(chunks: AsyncIterator[object]) -> object:
    return await anext(chunks)

"""The mark of an installation: made once."""

import asyncio

from iarnet.store.sql import SqlStore


async def test_the_first_who_asks_decides(store: SqlStore) -> None:
    proposed = [f"here-{n}" for n in range(8)]
    said = await asyncio.gather(*(store.installation.owner(each) for each in proposed))
    assert len(set(said)) == 1
    assert said[0] in proposed
    assert await store.installation.owner("other") == said[0]

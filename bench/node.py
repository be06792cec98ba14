"""`python -m bench.node DIRECTORY`: the part of a node that drives the gateway, until it is killed."""

import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from bench.world import clock, secrets, settings
from iarnet.store.open import open_store
from workers.envoy import started


async def run(directory: Path) -> None:
    given = settings(directory)
    async with AsyncExitStack() as stack:
        store = await open_store(given.database_url, clock)
        stack.push_async_callback(store.aclose)
        await started(stack, given, store, secrets())
        print("up", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1])))

"""A process of its own that reserves 1 MiB `count` times at once: `reserving.py URL NAME COUNT LIMIT_MIB`.

Prints how many it got.
"""

import asyncio
import sys
from datetime import UTC, datetime

from iarnet.errors import NoRoom
from iarnet.models.lease import Lease
from iarnet.models.resources import MIB, Resources
from iarnet.store.base import Store
from iarnet.store.open import open_store


async def reserve_many(store: Store, name: str, *, count: int, limit_mib: int) -> int:
    limits = {"box": Resources(memory_bytes=limit_mib * MIB)}

    async def one(number: int) -> bool:
        try:
            await store.ledger.reserve([_lease(f"{name}-{number}")], limits)
        except NoRoom:
            return False
        return True

    return sum(await asyncio.gather(*(one(number) for number in range(count))))


def _lease(name: str) -> Lease:
    return Lease(
        id=name,
        provider_id="box",
        app="shop",
        component="web",
        instance=name,
        resources=Resources(memory_bytes=MIB),
        state="reserved",
    )


async def main(url: str, name: str, count: str, limit_mib: str) -> None:
    store = await open_store(url, lambda: datetime.now(UTC))
    print(await reserve_many(store, name, count=int(count), limit_mib=int(limit_mib)))
    await store.aclose()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

"""Where texts wait and counts are kept: Redis lists and hashes."""

import json
import os
import uuid

import redis

WAITING = "texts"
TAKEN = "texts:taken"
IGNORED = "ignored-words"

store = redis.Redis.from_url(os.environ["REDIS_URL"], socket_timeout=10, decode_responses=True)


def submit(text: str) -> str:
    number = uuid.uuid4().hex
    store.hset(f"text:{number}", mapping={"text": text, "status": "waiting"})
    store.rpush(WAITING, number)
    return number


def result(number: str) -> dict[str, object] | None:
    found = store.hgetall(f"text:{number}")
    if not found:
        return None
    return {"id": number, "status": found["status"], "counts": json.loads(found.get("counts", "{}"))}


def take(patience_s: int) -> str | None:
    """The next text's number; it stays in a list of its own until `finish`."""
    return store.blmove(WAITING, TAKEN, patience_s, "LEFT", "RIGHT")


def text_of(number: str) -> str:
    return store.hget(f"text:{number}", "text") or ""


def finish(number: str, counts: dict[str, int]) -> None:
    store.hset(f"text:{number}", mapping={"status": "counted", "counts": json.dumps(counts)})
    store.lrem(TAKEN, 1, number)


def put_back() -> None:
    """What a worker that was killed had taken."""
    while store.lmove(TAKEN, WAITING, "RIGHT", "LEFT"):
        pass


def ignore(words: set[str]) -> None:
    store.sadd(IGNORED, *words)


def ignored() -> set[str]:
    return set(store.smembers(IGNORED))

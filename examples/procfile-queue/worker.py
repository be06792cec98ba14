"""Counts the words of one text after the other."""

import re
import signal
from collections import Counter

import queue_store


def count(text: str, ignored: set[str]) -> dict[str, int]:
    words = re.findall(r"[^\W\d_]+", text.lower())
    return dict(Counter(word for word in words if word not in ignored).most_common(20))


def stop(*_: object) -> None:
    raise SystemExit(0)


def main() -> None:
    signal.signal(signal.SIGTERM, stop)
    queue_store.put_back()
    print("the worker waits for texts", flush=True)
    while True:
        number = queue_store.take(patience_s=2)
        if number:
            counts = count(queue_store.text_of(number), queue_store.ignored())
            queue_store.finish(number, counts)
            print(f"{number}: {len(counts)} words", flush=True)


if __name__ == "__main__":
    main()

"""Runs once before a release: the words that don't count."""

import queue_store

WORDS = {"a", "an", "and", "in", "is", "it", "of", "the", "to"}

queue_store.ignore(WORDS)
print(f"{len(WORDS)} words will not be counted")

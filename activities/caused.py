"""What one causes oneself by an effect on an instance, and which therefore is no news."""

from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager

from iarnet.models.provider import EventKind

BY_DEPLOYING = frozenset[EventKind]({"started"})
BY_REMOVING = frozenset[EventKind]({"died", "oom", "removed"})
BY_RESTARTING = frozenset[EventKind]({"died", "started"})

Handling = Callable[[str, str, Collection[EventKind]], AbstractAsyncContextManager[None]]
"""(provider, instance, kinds of events): what happens meanwhile is told afterwards, these only if it goes wrong."""

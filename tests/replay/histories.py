"""Recorded runs: one file each, `{type}-{case}.json.gz`, without anything of the machine they were recorded on."""

import gzip
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.client import WorkflowHistory

FOLDER = Path(__file__).parent / "histories"
# What is a place on a machine, and neither inside a container nor invented.
PLACES = re.compile(r"/(tmp|home|root|work|run|Users|var/folders|private)/")


def load(path: Path) -> WorkflowHistory:
    text = gzip.decompress(path.read_bytes()).decode()
    return WorkflowHistory.from_json(json.loads(text)["id"], json.loads(text)["history"])


def save(name: str, history: WorkflowHistory, neutral: Mapping[str, str]) -> None:
    """With every key of `neutral` replaced by its value. Raises `ValueError` when a place of this machine is left."""
    for event in history.events:
        _scrub(event, neutral)
    if found := PLACES.search(words(history)):
        raise ValueError(
            f"{name} holds a path of this machine: {found.string[found.start() - 40 : found.end() + 40]}"
        )
    document = {"id": history.workflow_id, "history": history.to_json_dict()}
    FOLDER.mkdir(exist_ok=True)
    # Without a time in the header the same run gives the same file.
    packed = gzip.compress(json.dumps(document, sort_keys=True, separators=(",", ":")).encode(), mtime=0)
    (FOLDER / f"{name}.json.gz").write_bytes(packed)


def words(history: WorkflowHistory) -> str:
    """All text in it, payloads decoded."""
    return "\n".join(text for event in history.events for text in _texts(event))


def _scrub(message: Message, neutral: Mapping[str, str]) -> None:
    if isinstance(message, Failure):
        message.stack_trace = ""
    for field, value in message.ListFields():
        if isinstance(value, str | bytes):
            setattr(message, field.name, _replaced(value, neutral))
        else:
            for part in _messages(value):
                _scrub(part, neutral)


def _replaced(value: str | bytes, neutral: Mapping[str, str]) -> str | bytes:
    for old, new in neutral.items():
        value = value.replace(old, new) if isinstance(value, str) else value.replace(old.encode(), new.encode())
    return value


def _texts(message: Message) -> list[str]:
    if isinstance(message, Payload):
        return [message.data.decode(errors="replace")]
    found: list[str] = []
    for _, value in message.ListFields():
        found += [value] if isinstance(value, str) else [t for part in _messages(value) for t in _texts(part)]
    return found


def _messages(value: Any) -> list[Message]:
    """The messages in a field: one, a list of them, or the values of a map."""
    if isinstance(value, Message):
        return [value]
    if isinstance(value, Mapping):
        return [part for part in value.values() if isinstance(part, Message)]
    return [part for part in value if isinstance(part, Message)] if hasattr(value, "__iter__") else []

"""What Envoy wraps: an extension's configuration inside another message."""

from typing import Any

from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.message import Message


def packed(config: Message) -> Packed:
    """The same bytes for the same configuration, so that an unchanged resource is seen to be unchanged."""
    wrapped = Packed()
    wrapped.Pack(config, deterministic=True)
    return wrapped


def extension(name: str, config: Message) -> dict[str, Any]:
    """As every list of filters and the like wants it."""
    return {"name": name, "typed_config": packed(config)}

"""Payloads as pydantic values; what does not decode, or is too large, fails at once and is not tried for ever."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import PydanticPayloadConverter, pydantic_data_converter
from temporalio.converter import CompositePayloadConverter

from activities.failures import application_error
from iarnet.errors import InvalidInput, PayloadTooLarge

# Temporal refuses payloads above 2 MiB, and a task that tries to send one is tried again without end.
_LARGEST = 2_000_000
_HINT = 'Give one JSON object, for example --input \'{"app":"shop"}\'.'


# One is made for each run and each of its tasks, and would find out anew how each type is read.
_PARTS = tuple(PydanticPayloadConverter().converters.values())


class StrictPayloadConverter(CompositePayloadConverter):
    def __init__(self) -> None:
        super().__init__(*_PARTS)

    def to_payloads(self, values: Sequence[Any]) -> list[Payload]:
        payloads = super().to_payloads(values)
        size = sum(len(payload.data) for payload in payloads)
        if size > _LARGEST:
            raise application_error(_too_large(size, values))
        return payloads

    def from_payloads(self, payloads: Sequence[Payload], type_hints: list[type] | None = None) -> list[Any]:
        try:
            values = super().from_payloads(payloads, type_hints)
        except ValidationError as error:
            raise application_error(_refusal(error)) from None
        except (KeyError, RuntimeError) as error:
            raise application_error(InvalidInput(f"The input can't be read: {error}.", hint=_HINT)) from None
        for value, hint in zip(values, type_hints or (), strict=False):
            _check_kind(value, hint)
        return values


def _check_kind(value: Any, hint: type) -> None:
    """An encoding other than JSON brings bytes or nothing, whatever was asked for."""
    if isinstance(hint, type) and issubclass(hint, BaseModel) and not isinstance(value, hint):
        raise application_error(InvalidInput(f"The input is no JSON of a {hint.__name__}.", hint=_HINT))


def _too_large(size: int, values: Sequence[Any]) -> PayloadTooLarge:
    what = " and ".join(type(value).__name__ for value in values)
    return PayloadTooLarge(
        f"{what} of {size:,} bytes is more than a run can carry ({_LARGEST:,}).",
        where=what,
        hint="Put what is large into the repository or into files, and name it here.",
    )


def _refusal(error: ValidationError) -> InvalidInput:
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "input"
    return InvalidInput(
        f"The input does not fit {error.title}: {where}: {first['msg']}.",
        where=where,
        hint=_HINT,
    )


CONVERTER = dataclasses.replace(pydantic_data_converter, payload_converter_class=StrictPayloadConverter)

"""Payloads as pydantic values; input that does not decode fails the run at once instead of retrying for ever."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError
from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import PydanticPayloadConverter, pydantic_data_converter

from activities.failures import application_error
from iarnet.errors import InvalidInput


class StrictPayloadConverter(PydanticPayloadConverter):
    def from_payloads(self, payloads: Sequence[Payload], type_hints: list[type] | None = None) -> list[Any]:
        try:
            return super().from_payloads(payloads, type_hints)
        except ValidationError as error:
            raise application_error(_refusal(error)) from None


def _refusal(error: ValidationError) -> InvalidInput:
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "input"
    return InvalidInput(
        f"The input does not fit {error.title}: {where}: {first['msg']}.",
        where=where,
        hint='Give one JSON object, for example --input \'{"app":"shop"}\'.',
    )


CONVERTER = dataclasses.replace(pydantic_data_converter, payload_converter_class=StrictPayloadConverter)

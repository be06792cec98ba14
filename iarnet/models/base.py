"""What all values have in common."""

from datetime import datetime
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Strict, StringConstraints

AppName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$")]
ComponentName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$")]
Time = Annotated[datetime, AwareDatetime]


def number(value: object) -> object:
    """As it is, unless it is something that Pydantic would make a number of."""
    if isinstance(value, bool | str):
        raise ValueError("must be a number")
    return value


# What clients send is taken as JSON Schema takes it: 3 and 3.0 are integers, "3" and true are none, 1 is no boolean.
# `NUMBER` comes last, after the bounds: else Pydantic leaves those out of the schema.
NUMBER = BeforeValidator(number)
Flag = Annotated[bool, Strict()]


class Value(BaseModel):
    """An immutable value that crosses boundaries; an unknown field is an error, never dropped."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True, validate_default=True
    )

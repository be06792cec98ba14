"""Amounts of compute, in the units that the code uses everywhere."""

from pydantic import Field

from iarnet.models.base import Value

MIB = 1024**2
GIB = 1024**3


class Resources(Value):
    """CPU in thousandths of a core, memory and storage in bytes, GPU in thousandths of a device."""

    cpu_millis: int = Field(default=0, ge=0)
    memory_bytes: int = Field(default=0, ge=0)
    storage_bytes: int = Field(default=0, ge=0)
    gpu_millis: int = Field(default=0, ge=0)

    def __add__(self, other: "Resources") -> "Resources":
        return Resources(**{k: getattr(self, k) + getattr(other, k) for k in Resources.model_fields})

    def minus(self, other: "Resources") -> "Resources":
        """The difference, never below zero."""
        return Resources(**{k: max(0, getattr(self, k) - getattr(other, k)) for k in Resources.model_fields})

    def __mul__(self, n: int) -> "Resources":
        return Resources(**{k: getattr(self, k) * n for k in Resources.model_fields})


class Capacity(Value):
    """What a provider has, as measured: `total` = `used` + `available`."""

    total: Resources
    used: Resources
    available: Resources

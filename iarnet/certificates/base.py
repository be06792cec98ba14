"""The contract of who signs certificates for names."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from iarnet.models.domains import Certificate, Challenge

Prove = Callable[[Challenge], Awaitable[None]]
"""Returns once everybody who asks for the challenge at its host is given its answer."""


@dataclass(frozen=True)
class Pair:
    """A certificate that has been checked, and its private key, PEM."""

    certificate: Certificate
    key: str = field(repr=False)


class Issuer(Protocol):
    async def issue(self, host: str, prove: Prove) -> Pair:
        """A new certificate for the host, with a new key. `prove` is called when the issuer asks for a proof.

        Raises `AuthorityUnavailable`, `AuthorityRefused`, `RateLimited`, and `InvalidConfig` for what the
        configuration lacks. May be repeated without harm, but each time counts where an authority has limits.
        """
        ...

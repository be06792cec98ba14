"""Where a repository's host may be: not on this machine, nor in its private networks."""

import asyncio
import ipaddress
import socket

from iarnet.errors import InvalidUrl, SourceError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


async def addresses_of(host: str, port: int, *, allow_private: bool, time_s: float = 15.0) -> tuple[str, ...]:
    """The host's addresses, to be used instead of its name, so that a second answer of its DNS changes nothing.

    Raises `InvalidUrl` when one of them is private, `SourceError` when there is none.
    """
    try:
        async with asyncio.timeout(time_s):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError) as error:
        raise SourceError(
            f"The host {host} can't be found.", where=host, hint="Check the address, and this machine's DNS."
        ) from error
    addresses = tuple(dict.fromkeys(str(info[4][0]) for info in found))
    if not allow_private:
        refuse_private(host, addresses)
    return addresses


def refuse_private(host: str, addresses: tuple[str, ...]) -> None:
    if all(is_public(ipaddress.ip_address(address.split("%")[0])) for address in addresses):
        return
    raise InvalidUrl(
        f"The host {host} is in a private network or on this machine.",
        where=host,
        hint="Set git.allow_private_hosts to allow such hosts.",
    )


def is_public(address: Address) -> bool:
    """Reachable in the Internet, also after what IPv6 wraps around an IPv4 address is taken off."""
    inner = _wrapped(address)
    if inner is not None:
        return is_public(inner)
    return address.is_global and not address.is_multicast


def _wrapped(address: Address) -> Address | None:
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address.teredo:
        return address.teredo[1]
    return address.ipv4_mapped or address.sixtofour

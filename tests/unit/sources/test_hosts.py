import ipaddress

import pytest

from iarnet.errors import InvalidUrl, SourceError
from iarnet.sources.hosts import addresses_of, is_public, refuse_private


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
     "255.255.255.255", "192.0.2.1", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1",
     "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::", "2002:c0a8:101::1"],
)  # fmt: skip
def test_private_addresses(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "140.82.121.4", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
def test_public_addresses(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


def test_one_private_address_is_enough() -> None:
    refuse_private("h", ("1.1.1.1", "2606:4700::1111"))
    with pytest.raises(InvalidUrl):
        refuse_private("h", ("1.1.1.1", "10.0.0.1"))
    with pytest.raises(InvalidUrl):
        refuse_private("h", ("fe80::1%eth0",))


async def test_resolving() -> None:
    assert "127.0.0.1" in await addresses_of("localhost", 443, allow_private=True)
    with pytest.raises(InvalidUrl):
        await addresses_of("localhost", 443, allow_private=False)
    for host in ("nowhere.invalid", "a" * 70 + ".example"):
        with pytest.raises(SourceError) as error:
            await addresses_of(host, 443, allow_private=False)
        assert error.value.retryable

"""What `/proc/net/tcp` says of sockets that listen."""

import pytest

from iarnet.models.instance import Listener
from iarnet.providers.docker.probe import listeners

HEADING = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


def row(address: str, state: str = "0A") -> str:
    return f"   0: {address} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000     0        0 1 1 0\n"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("00000000:1F90", Listener(port=8080)),
        ("0100007F:1F90", Listener(port=8080, loopback=True)),
        ("0B00007F:9C41", Listener(port=40001, loopback=True)),
        ("0208D20A:0050", Listener(port=80)),
        ("00000000000000000000000000000000:0BB8", Listener(port=3000)),
        ("00000000000000000000000001000000:0BB8", Listener(port=3000, loopback=True)),
        ("0000000000000000FFFF00000100007F:0BB8", Listener(port=3000, loopback=True)),
        ("0000000000000000FFFF00000208D20A:0BB8", Listener(port=3000)),
    ],
)
def test_addresses(address: str, expected: Listener) -> None:
    assert listeners(HEADING + row(address)) == (expected,)


def test_only_what_listens_and_each_once() -> None:
    table = HEADING + row("00000000:0050", "01") + row("00000000:0051") + HEADING + row("00000000:0051")
    assert listeners(table) == (Listener(port=81),)
    assert listeners("") == listeners(HEADING) == ()

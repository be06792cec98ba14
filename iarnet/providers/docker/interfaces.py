"""The IPv4 addresses of this machine."""

import socket
from ipaddress import IPv4Interface

import psutil


def interfaces() -> list[tuple[str, IPv4Interface]]:
    """The name of an interface and an address that it has, for each address. Blocks."""
    return [
        (name, IPv4Interface(f"{a.address}/{a.netmask}"))
        for name, addresses in psutil.net_if_addrs().items()
        for a in addresses
        if a.family == socket.AF_INET and a.netmask
    ]

import time

import pytest

from iarnet.errors import InvalidUrl
from iarnet.sources.submodules import absolute_url, submodule_urls
from iarnet.sources.url import parse_url


def test_reading() -> None:
    text = """
[submodule "a"]
\tpath = vendor/a/
\turl = ../a.git
[submodule "b \\"x\\""]
  url = "https://example.org/b"
  path = b
  branch = main
[submodule "skipped"]
  path = c
  url = ../c
  update = none
[submodule "half"]
  path = d
"""
    assert submodule_urls(text) == {"vendor/a": "../a.git", "b": "https://example.org/b"}
    assert submodule_urls("") == {}
    assert submodule_urls("\0\x01[[[") == {}


@pytest.mark.parametrize(
    ("parent", "url", "expected"),
    [
        ("https://example.org/team/shop", "../lib", "https://example.org/team/lib"),
        ("https://example.org/team/shop/", "../../lib.git", "https://example.org/lib.git"),
        ("https://example.org:8443/team/shop", "./lib", "https://example.org:8443/team/shop/lib"),
        ("git@example.org:team/shop.git", "../lib.git", "git@example.org:team/lib.git"),
        ("ssh://git@example.org/team/shop", "../lib", "ssh://git@example.org/team/lib"),
        ("https://example.org/a/b", "https://other.org/c", "https://other.org/c"),
        ("https://example.org/a/b", "git@example.org:c/d.git", "https://example.org/c/d.git"),
        ("https://example.org/a/b", "ssh://git@example.org/c/d", "https://example.org/c/d"),
        ("https://example.org/a/b", "git@other.org:c/d", "git@other.org:c/d"),
        ("git@example.org:a/b", "git@example.org:c/d", "git@example.org:c/d"),
    ],
)
def test_addresses(parent: str, url: str, expected: str) -> None:
    assert absolute_url(parse_url(parent), url) == expected


def test_an_address_can_not_leave_its_server() -> None:
    upwards = "../../../../../etc"
    assert absolute_url(parse_url("https://example.org/team/shop"), upwards) == "https://example.org/etc"
    for parent, url in (("git@example.org:team/shop", upwards), ("https://example.org/team/shop", "../..")):
        with pytest.raises(InvalidUrl):
            absolute_url(parse_url(parent), url)


def test_no_line_takes_long() -> None:
    before = time.process_time()
    assert submodule_urls(f'[submodule "a"]\nurl = a{" " * 30_000}b\n{" " * 100_000}path{" " * 100_000}= x \n')
    assert time.process_time() - before < 1

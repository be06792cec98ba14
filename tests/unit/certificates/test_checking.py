"""What a client or Envoy would refuse is refused before, with its reason."""

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from iarnet.certificates.checking import check_given
from iarnet.errors import InvalidCertificate
from tests.unit.certificates.making import NOW, Key, curve, issuer, key_pem, leaf, pem

HOST = "shop.example.org"


def refused(chain: str, key: str, host: str = HOST) -> InvalidCertificate:
    with pytest.raises(InvalidCertificate) as caught:
        check_given(chain, key, host, NOW)
    assert caught.value.hint
    assert caught.value.where in ("chain", "key")
    return caught.value


def test_a_good_one_is_recorded_without_anything_else_that_the_file_holds() -> None:
    key = curve()
    mine = leaf(key, HOST)
    given = check_given("my notes\n" + key_pem(key) + pem(mine, issuer()[1]), key_pem(key), HOST, NOW)
    assert given.chain == pem(mine, issuer()[1])
    assert given.key.startswith(f"tls/{HOST}/")
    assert (given.not_before, given.not_after) == (mine.not_valid_before_utc, mine.not_valid_after_utc)
    assert given.issuer == "CN=Example Authority"


def test_another_certificate_has_another_key_name() -> None:
    key = curve()
    names = {check_given(pem(leaf(key, HOST)), key_pem(key), HOST, NOW).key for _ in range(2)}
    assert len(names) == 2


@pytest.mark.parametrize(
    ("name", "host", "covered"),
    [
        (HOST, HOST, True),
        (HOST.upper(), HOST, True),
        ("*.example.org", HOST, True),
        ("*.example.org", "*.example.org", True),
        ("*.example.org", "a.b.example.org", False),
        ("*.example.org", "example.org", False),
        ("*.org", "*.example.org", False),
        (HOST, "*.example.org", False),
        ("example.org", HOST, False),
    ],
)
def test_names_are_compared_as_clients_do(name: str, host: str, covered: bool) -> None:
    key = curve()
    chain = pem(leaf(key, "first.example.org", name))
    if covered:
        assert check_given(chain, key_pem(key), host, NOW).host == host
    else:
        assert f"not for {host}, but for first.example.org, {name}" in refused(chain, key_pem(key), host).message


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (rsa.generate_private_key(65537, 1024), "1024 bits is too weak"),
        (ed25519.Ed25519PrivateKey.generate(), "don't take keys of this kind"),
        (ec.generate_private_key(ec.SECP256K1()), "don't take keys of this kind"),
    ],
    ids=["rsa-1024", "ed25519", "secp256k1"],
)
def test_keys_that_clients_do_not_take(key: Key, said: str) -> None:
    assert said in refused(pem(leaf(key, HOST)), key_pem(key)).message


@pytest.mark.parametrize("key", [rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1())])
def test_keys_that_clients_take(key: Key) -> None:
    assert check_given(pem(leaf(key, HOST)), key_pem(key), HOST, NOW).host == HOST


def test_a_wildcard_that_clients_do_not_take() -> None:
    key = curve()
    assert "two parts after it" in refused(pem(leaf(key, "*.localhost")), key_pem(key), "*.localhost").message


def test_a_key_of_another_certificate() -> None:
    error = refused(pem(leaf(curve(), HOST)), key_pem(curve()))
    assert (error.where, "does not belong" in error.message) == ("key", True)


def test_an_encrypted_key() -> None:
    key = curve()
    assert "encrypted" in refused(pem(leaf(key, HOST)), key_pem(key, b"sesame")).message


@pytest.mark.parametrize(("chain", "where"), [("", "chain"), ("-----BEGIN CERTIFICATE-----\nAAAA\n", "chain")])
def test_no_certificate(chain: str, where: str) -> None:
    assert refused(chain, key_pem(curve())).where == where


@pytest.mark.parametrize("key", ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_no_key(key: str) -> None:
    assert refused(pem(leaf(curve(), HOST)), key).where == "key"


def test_expired_and_not_yet_valid() -> None:
    key, day = curve(), timedelta(days=1)
    early = leaf(key, HOST, begin=NOW - 3 * day, end=NOW)
    assert "expired on 2026-06-01 12:00 UTC" in refused(pem(early), key_pem(key)).message
    late = leaf(key, HOST, begin=NOW + day)
    assert "valid from 2026-06-02 12:00 UTC on, and not yet" in refused(pem(late), key_pem(key)).message


def test_a_chain_in_the_wrong_order() -> None:
    key = curve()
    error = refused(pem(issuer()[1], leaf(key, HOST)), key_pem(key))
    assert "is not the first" in error.message


def test_a_chain_with_a_stranger_in_it() -> None:
    key = curve()
    assert "was not issued by the next" in refused(pem(leaf(key, HOST), issuer("Other")[1]), key_pem(key)).message


def test_a_bundle_of_authorities_is_no_chain() -> None:
    key = curve()
    assert "bundle" in refused(pem(leaf(key, HOST), *[issuer()[1]] * 10), key_pem(key)).message


def test_what_is_for_no_server_and_what_has_no_names() -> None:
    key = curve()
    assert (
        "not meant for servers"
        in refused(pem(leaf(key, HOST, use=ExtendedKeyUsageOID.CLIENT_AUTH)), key_pem(key)).message
    )
    assert "no alternative names" in refused(pem(leaf(key)), key_pem(key)).message
    assert check_given(pem(leaf(key, HOST, use=None)), key_pem(key), HOST, NOW).host == HOST

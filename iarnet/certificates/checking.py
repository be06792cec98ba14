"""Whether a chain and a key can serve a name: all that a client or Envoy would refuse, said before they do.

Names are compared as RFC 9525 asks: only the subject's alternative names count, and `*` stands for one part.
"""

from datetime import datetime
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from iarnet.errors import InvalidCertificate
from iarnet.models.domains import Certificate

_SMALLEST_RSA = 2048
_CURVES = ("secp256r1", "secp384r1", "secp521r1")
_BROKEN = ("md5", "sha1")
_LONGEST = 10
_CHAIN, _KEY = "chain", "key"


def check_given(chain_pem: str, key_pem: str, host: str, now: datetime) -> Certificate:
    """The certificate as it is recorded: nothing but the certificates of `chain_pem` is in it.

    Raises `InvalidCertificate`; its `where` is `chain` or `key`.
    """
    chain = _chain(chain_pem)
    leaf = chain[0]
    _check_key(_private_key(key_pem), chain)
    _check_names(leaf, host)
    _check_purpose(leaf)
    for certificate in chain:
        _check_time(certificate, now)
    _check_order(chain)
    return Certificate(
        host=host,
        chain="".join(each.public_bytes(Encoding.PEM).decode() for each in chain),
        key=f"tls/{host}/{leaf.fingerprint(SHA256()).hex()[:16]}",
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
        issuer=leaf.issuer.rfc4514_string(),
    )


def _chain(pem: str) -> list[x509.Certificate]:
    try:
        chain = x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        raise InvalidCertificate(
            "There is no certificate in PEM form in it.",
            where=_CHAIN,
            hint="It begins with -----BEGIN CERTIFICATE-----; first the one of the name, then those of its issuers.",
        ) from None
    if len(chain) > _LONGEST:
        raise InvalidCertificate(
            f"It holds {len(chain)} certificates: a bundle of authorities, and no chain.",
            where=_CHAIN,
            hint="Give the certificate of the name and those of its issuers.",
        )
    return chain


def _private_key(pem: str) -> PrivateKeyTypes:
    try:
        return load_pem_private_key(pem.encode(), password=None)
    except TypeError:
        raise InvalidCertificate(
            "The private key is encrypted.", where=_KEY, hint="Decrypt it: openssl pkey -in KEY -out PLAIN_KEY"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise InvalidCertificate(
            "There is no private key in PEM form in it.",
            where=_KEY,
            hint="It begins with -----BEGIN PRIVATE KEY-----.",
        ) from None


def _check_key(key: PrivateKeyTypes, chain: list[x509.Certificate]) -> None:
    ours = _public(key.public_key())
    mine = [number for number, certificate in enumerate(chain) if _public(certificate.public_key()) == ours]
    if not mine:
        raise InvalidCertificate(
            f"The key does not belong to the certificate of {_subject(chain[0])}.",
            where=_KEY,
            hint="Give the key with which that certificate was requested.",
        )
    if mine[0]:
        raise InvalidCertificate(
            "The certificate to which the key belongs is not the first.",
            where=_CHAIN,
            hint="Put the certificate of the name first, and then the one that issued it.",
        )
    _check_strength(key)


def _check_strength(key: PrivateKeyTypes) -> None:
    hint = "Request a certificate for a key of P-256, or of RSA with 2048 bits or more."
    if isinstance(key, rsa.RSAPrivateKey):
        if key.key_size < _SMALLEST_RSA:
            raise InvalidCertificate(f"An RSA key of {key.key_size} bits is too weak.", where=_KEY, hint=hint)
    elif not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name not in _CURVES:
        raise InvalidCertificate("Browsers don't take keys of this kind.", where=_KEY, hint=hint)


def _check_names(leaf: x509.Certificate, host: str) -> None:
    if host.startswith("*.") and "." not in host[2:]:
        raise InvalidCertificate(
            f"Clients take no certificate for {host}: the * must have two parts after it.",
            where=_CHAIN,
            hint=f"Add each name by itself, or use one such as *.shop{host[1:]}.",
        )
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        raise InvalidCertificate(
            "The certificate has no alternative names (SAN), and clients look at nothing else.",
            where=_CHAIN,
            hint=f"Request one with the alternative name {host}.",
        ) from None
    known = [name.lower() for name in names.get_values_for_type(x509.DNSName)]
    if not any(_covers(name, host) for name in known):
        raise InvalidCertificate(
            f"The certificate is not for {host}, but for {', '.join(known) or 'no host at all'}.",
            where=_CHAIN,
            hint="Give one that names this host, or add the domain under a name that it has.",
        )


def _covers(name: str, host: str) -> bool:
    if name == host:
        return True
    return name.startswith("*.") and not host.startswith("*.") and host.partition(".")[2] == name[2:]


def _check_purpose(leaf: x509.Certificate) -> None:
    try:
        uses = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        uses = None
    if uses is not None and ExtendedKeyUsageOID.SERVER_AUTH not in uses:
        raise InvalidCertificate(
            "The certificate is not meant for servers.",
            where=_CHAIN,
            hint="Request one with the extended key usage serverAuth.",
        )
    algorithm = leaf.signature_hash_algorithm
    if algorithm is not None and algorithm.name in _BROKEN:
        raise InvalidCertificate(
            f"The certificate is signed with {algorithm.name.upper()}, which clients refuse.",
            where=_CHAIN,
            hint="Request one that is signed with SHA-256.",
        )


def _check_time(certificate: x509.Certificate, now: datetime) -> None:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < begin:
        raise InvalidCertificate(
            f"The certificate of {_subject(certificate)} is valid from {begin:%Y-%m-%d %H:%M} UTC on, and not yet.",
            where=_CHAIN,
            hint="Look at the clock of this machine, or wait.",
        )
    if now >= end:
        raise InvalidCertificate(
            f"The certificate of {_subject(certificate)} expired on {end:%Y-%m-%d %H:%M} UTC.",
            where=_CHAIN,
            hint="Have it renewed, and give the new one.",
        )


def _check_order(chain: list[x509.Certificate]) -> None:
    for certificate, issuer in pairwise(chain):
        try:
            certificate.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature):
            raise InvalidCertificate(
                f"The certificate of {_subject(certificate)} was not issued by the next one, {_subject(issuer)}.",
                where=_CHAIN,
                hint=f"It needs the one of {certificate.issuer.rfc4514_string()} after it.",
            ) from None


def _public(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _subject(certificate: x509.Certificate) -> str:
    """Its names, where it has no other."""
    return certificate.subject.rfc4514_string() or "no name"

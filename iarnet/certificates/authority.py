"""Our own authority: it signs certificates for names that only its user's machines know, as `*.localhost`.

Its key and certificate are one secret, made at the first use. Who trusts it trusts whoever can open that secret, for
the names that its certificate permits (RFC 5280, 4.2.1.10) and no others.
"""

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from ipaddress import ip_network

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from iarnet.certificates.base import Pair, Prove
from iarnet.certificates.checking import check_given
from iarnet.certificates.keys import key_pem, new_key
from iarnet.errors import AuthorityRefused, NotFound
from iarnet.secrets.base import Secrets
from iarnet.store.base import Clock

SECRET = "authority/own"
_AUTHORITY_LASTS = timedelta(days=3650)
# Apple's systems refuse longer than 825 days, also of authorities that a person has added.
_LASTS = timedelta(days=90)
# The clock of a client may be a little behind.
_EARLIER = timedelta(hours=1)
_LONGEST_COMMON_NAME = 64


class OwnAuthority:
    """`Issuer`. `node` is whose it is: people see it in the list of what they trust. With other `names` it becomes
    another one, which has to be trusted anew."""

    def __init__(self, secrets: Secrets, node: str, clock: Clock, names: Iterable[str]) -> None:
        self._secrets = secrets
        self._node = node
        self._clock = clock
        self._names = sorted(name.lower().strip(".") for name in names)
        self._turn = asyncio.Lock()

    async def certificate(self) -> str:
        """What has to be trusted, PEM."""
        return _pem(_authority_in(await self._opened())[1])

    async def issue(self, host: str, prove: Prove) -> Pair:
        """Needs no proof: who may add a domain may have its certificate. Raises `AuthorityRefused`."""
        if not any(f".{host}".endswith(f".{name}") for name in self._names):
            raise AuthorityRefused(
                f"The node's own authority signs for {', '.join(self._names)} and names below them, not for {host}.",
                where="gateway.own_names",
                hint="Add it there and trust the authority anew; or give a certificate, or have one with `--acme`.",
            )
        signer, authority = _authority_in(await self._opened())
        now = self._clock()
        key = new_key()
        certificate = (
            x509.CertificateBuilder()
            .subject_name(_name(host) if len(host) <= _LONGEST_COMMON_NAME else x509.Name([]))
            .issuer_name(authority.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _EARLIER)
            .not_valid_after(now + _LASTS)
            .add_extension(
                x509.SubjectAlternativeName([x509.DNSName(host)]), critical=len(host) > _LONGEST_COMMON_NAME
            )
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
            .sign(signer, SHA256())
        )
        pem = key_pem(key)
        return Pair(check_given(_pem(certificate), pem, host, now), pem)

    async def _opened(self) -> str:
        """A new one when there is none, when it may sign for other names, or when what it signs would outlive it."""
        async with self._turn:
            try:
                stored = await self._secrets.get(SECRET)
                _, authority = _authority_in(stored)
                if authority.not_valid_after_utc > self._clock() + _LASTS and _permitted(authority) == self._names:
                    return stored
            except NotFound:
                pass
            made = self._made()
            await self._secrets.put(SECRET, made)
            return made

    def _made(self) -> str:
        key, name, now = new_key(), _name(f"IARNet authority of {self._node}"), self._clock()
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _EARLIER)
            .not_valid_after(now + _AUTHORITY_LASTS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(key_cert_sign=True), critical=True)
            .add_extension(_only(self._names), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, SHA256())
        )
        return key_pem(key) + _pem(certificate)


def _authority_in(secret: str) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = load_pem_private_key(secret.encode(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey), "made here, always of this kind"
    return key, x509.load_pem_x509_certificate(secret.encode())


def _only(names: Iterable[str]) -> x509.NameConstraints:
    return x509.NameConstraints(
        permitted_subtrees=[x509.DNSName(name) for name in names],
        # What is not mentioned at all would be permitted.
        excluded_subtrees=[x509.IPAddress(ip_network(every)) for every in ("0.0.0.0/0", "::/0")],
    )


def _permitted(authority: x509.Certificate) -> list[str]:
    found = (e.value for e in authority.extensions if isinstance(e.value, x509.NameConstraints))
    return [name.value for constraints in found for name in constraints.permitted_subtrees or ()]


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common[:_LONGEST_COMMON_NAME])])


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=key_cert_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )

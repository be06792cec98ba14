"""Certificates as an authority of the tests signs them."""

import ssl
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

_DAY = timedelta(days=1)


class Signer:
    """An authority of its own. `context()` trusts it and nobody else."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority for tests")])
        made = _certificate(self._name, self._name, self._key.public_key(), days=3650)
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.pem = made.sign(self._key, SHA256()).public_bytes(Encoding.PEM).decode()

    def sign(self, *hosts: str, days: int = 90, begins_in_days: int = 0) -> tuple[str, str]:
        """A chain and its key, PEM. With `days` below 0 it has expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
        made = _certificate(x509.Name([]), self._name, key.public_key(), days=days, begins_in_days=begins_in_days)
        chain = made.add_extension(names, critical=True).sign(self._key, SHA256())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return chain.public_bytes(Encoding.PEM).decode(), pem.decode()

    def context(self, *protocols: str) -> ssl.SSLContext:
        """For a client. `protocols` are offered by ALPN."""
        found = ssl.create_default_context(cadata=self.pem)
        if protocols:
            found.set_alpn_protocols(list(protocols))
        return found


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, *, days: int, begins_in_days: int = 0
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    begin = now + begins_in_days * _DAY if begins_in_days else now + min(days, 0) * _DAY - _DAY
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(now + days * _DAY)
    )

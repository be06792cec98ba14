"""Certificates of an ACME server (RFC 8555), which asks over HTTP whether a name is ours (8.3)."""

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from josepy.jwk import JWKEC

from iarnet.certificates.acme_session import AcmeSession, Order
from iarnet.certificates.base import Pair, Prove
from iarnet.certificates.checking import check_given
from iarnet.certificates.keys import key_pem, new_key
from iarnet.errors import AuthorityUnavailable, NotFound
from iarnet.models.domains import Challenge
from iarnet.secrets.base import Secrets
from iarnet.store.base import Clock

T = TypeVar("T")


class AcmeServer:
    """`Issuer`. `agree`: its terms of service are accepted. `email` is where it may write to; `ca_bundle` what signs
    the server's own certificate, when the system doesn't trust it.

    The account is a key, the secret `acme/{of the directory}`, made at the first use. The server is given `answers_s`
    for each answer, and `decides_s` to be convinced and to sign.
    """

    def __init__(
        self,
        directory: str,
        *,
        agree: bool,
        email: str,
        ca_bundle: Path | None,
        secrets: Secrets,
        clock: Clock,
        answers_s: int = 15,
        decides_s: float = 180,
    ) -> None:
        self._directory = directory
        self._agree = agree
        self._email = email
        self._ca_bundle = ca_bundle
        self._secrets = secrets
        self._clock = clock
        self._answers_s = answers_s
        self._decides_s = decides_s
        self._turn = asyncio.Lock()

    async def issue(self, host: str, prove: Prove) -> Pair:
        session = AcmeSession(self._directory, await self._account(), self._ca_bundle, self._answers_s)
        key = new_key()
        await asyncio.to_thread(session.enter, self._agree, self._email)
        order = await asyncio.to_thread(session.order, _request(key, host))
        for challenge, token, answer in session.proofs(order):
            await prove(Challenge(host=host, token=token, answer=answer))
            await asyncio.to_thread(session.ready, challenge)
        try:
            async with asyncio.timeout(self._decides_s):
                decided = await _until(session.decided, order)
                finished = await asyncio.to_thread(session.finish, decided)
                chain = await _until(session.chain, finished)
        except TimeoutError:
            raise AuthorityUnavailable(f"{self._directory} did not decide within {self._decides_s:g} s.") from None
        pem = key_pem(key)
        return Pair(check_given(chain, pem, host, self._clock()), pem)

    async def _account(self) -> JWKEC:
        name = f"acme/{hashlib.sha256(self._directory.encode()).hexdigest()[:16]}"
        async with self._turn:
            try:
                pem = await self._secrets.get(name)
            except NotFound:
                pem = key_pem(new_key())
                await self._secrets.put(name, pem)
        return JWKEC(key=load_pem_private_key(pem.encode(), password=None))


async def _until(look: Callable[[Order], T | None], order: Order) -> T:
    """It takes a second to say that there is nothing yet."""
    while (found := await asyncio.to_thread(look, order)) is None:
        pass
    return found


def _request(key: ec.EllipticCurvePrivateKey, host: str) -> bytes:
    """RFC 2986, PEM. The name is an alternative name only: nobody looks for it elsewhere."""
    names = x509.SubjectAlternativeName([x509.DNSName(host)])
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).add_extension(names, critical=False)
    return request.sign(key, SHA256()).public_bytes(Encoding.PEM)

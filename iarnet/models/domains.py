"""Names under which people reach what runs, and what proves that a name is ours."""

from typing import Literal

from pydantic import Field

from iarnet.models.base import AppName, ComponentName, Time, Value
from iarnet.models.traffic import HostName

CertificateKind = Literal["own", "given", "acme", "none"]


class Domain(Value):
    """A name under which people reach a component, at the gateway's ports for HTTP and HTTPS.

    `*.example.org` is every name of one more part, only with a certificate that is `given`, our `own`, or `none`.
    `port` 0 is the component's first for HTTP. `plain` answers HTTP, too, instead of redirecting it to HTTPS; always
    so with `none`. With `redirect_to`, everything is redirected there, path and query kept. `problem` is why it has
    no valid certificate, in words; written by the node.
    """

    host: HostName
    app: AppName
    component: ComponentName
    port: int = Field(default=0, ge=0, le=65535)
    certificate: CertificateKind = "own"
    plain: bool = False
    redirect_to: HostName | None = None
    problem: str = ""


class Certificate(Value):
    """For a domain. `chain` is PEM, the leaf first.

    The private key is the secret `key`, `tls/{host}/{first 16 hex digits of the leaf's SHA-256}`: a new certificate
    has a key name of its own, so that both change in one step.
    """

    host: HostName
    chain: str
    key: str
    not_before: Time
    not_after: Time
    issuer: str


class Challenge(Value):
    """What an ACME server asks for at http://{host}/.well-known/acme-challenge/{token} (RFC 8555, 8.3)."""

    host: HostName
    token: str = Field(pattern=r"^[A-Za-z0-9_-]{1,256}$")
    answer: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,512}$")

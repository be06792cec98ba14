"""What clients send, and the forms of the values in it. Anything else is refused as `InvalidInput`."""

import re
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, IPvAnyAddress, StringConstraints, WithJsonSchema

from iarnet.errors import InvalidInput
from iarnet.models.base import NUMBER, AppName, ComponentName, Flag, Value
from iarnet.models.change import OnFailure
from iarnet.models.domains import CertificateKind
from iarnet.models.source import GitSource
from iarnet.models.traffic import Backend, HostName
from iarnet.sources.url import check_ref, parse_url

MAX_ID = 2**31 - 1
Plain = StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=255)
PlainText = Annotated[str, Plain]
SecretName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$", max_length=255)]
SettingKey = Annotated[
    str,
    StringConstraints(
        pattern=r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?"
        r"\.(env\.[A-Za-z_][A-Za-z0-9_.-]{0,255}|file\.[A-Za-z0-9][A-Za-z0-9_.-]{0,127}|((health|limits|ejection)\.)?[a-z_]{1,40})$"
    ),
]
SettingValue = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$", max_length=65_536)]
SettingMap = Annotated[dict[SettingKey, SettingValue], Field(max_length=1000)]
SecretMap = Annotated[dict[SettingKey, SecretName], Field(max_length=1000)]
Weight = Annotated[int, Field(ge=1, le=10_000), NUMBER]
PortOrFirst = Annotated[int, Field(ge=0, le=65535), NUMBER]
Token = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$")]
CookieValue = Annotated[str, StringConstraints(pattern=r"^[!-:<-~]*$", max_length=255)]


def _name(text: object) -> object:
    """As DNS has it: lower case, other letters than a-z encoded (RFC 5891), every part at most 63 bytes."""
    if not isinstance(text, str):
        return text
    try:
        found = text.strip().removesuffix(".").encode("idna").decode().lower()
    except UnicodeError as error:
        raise ValueError("must be a name such as shop.example.org") from error
    parts = found.removeprefix("*.").split(".")
    if not all(re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", part) for part in parts) or parts[-1].isdigit():
        raise ValueError("must be a name such as shop.example.org")
    return found


# A pattern would say less than is taken: other letters, upper case.
Name = Annotated[HostName, BeforeValidator(_name), WithJsonSchema({"type": "string", "maxLength": 1000})]
Pem = Annotated[str, StringConstraints(max_length=100_000)]


def _plain_address(found: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """An IPv4 address in the clothes of the other family is still that one; a zone means something here only."""
    if isinstance(found, IPv6Address) and found.scope_id:
        raise ValueError("an address without a zone is expected")
    return (isinstance(found, IPv6Address) and found.ipv4_mapped) or found


Address = Annotated[
    IPvAnyAddress,
    AfterValidator(_plain_address),
    WithJsonSchema({"type": "string", "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]}),
]


class AppCreation(Value):
    """Without `name`, the repository's own. `credential` names a stored secret."""

    url: str = Field(min_length=1, max_length=2048, examples=["https://github.com/user/shop.git"])
    name: AppName | None = Field(default=None, examples=["shop"])
    title: PlainText = ""
    ref: str = Field(default="", max_length=255, examples=["main"])
    credential: SecretName | None = Field(default=None, examples=["credentials/github"])
    subdir: PlainText = ""


class ImportBody(Value):
    """What is given here replaces what the app has; the address can't change."""

    ref: str | None = Field(default=None, max_length=255)
    credential: SecretName | None = None


class ChangeBody(Value):
    """`settings` and `secrets` are merged into the app's own: `web.replicas`, `web.env.NAME`."""

    components: tuple[ComponentName, ...] = Field(default=(), max_length=1000)
    settings: SettingMap = Field(default={}, examples=[{"web.env.GREETING": "hello"}])
    secrets: SecretMap = Field(default={}, examples=[{"web.env.API_KEY": "shop/api-key"}])
    on_failure: OnFailure = "auto"
    fetch: Flag = Field(default=True, description="look for a new commit first")


class RetryBody(Value):
    on_failure: OnFailure = "auto"
    fetch: Flag = Field(default=True, description="look for a commit with the fix first")


class ForkBody(Value):
    """The one thing to change; the healthy rest is kept."""

    settings: SettingMap = {}
    secrets: SecretMap = {}
    on_failure: OnFailure = "hold"


class RollbackBody(Value):
    """Without `revision`, the last that was deployed with success before the current one."""

    revision: Annotated[int, Field(ge=1, le=MAX_ID), NUMBER] | None = None
    on_failure: OnFailure = "auto"


class ScaleBody(Value):
    replicas: dict[ComponentName, Annotated[int, Field(ge=0, le=100), NUMBER]] = Field(
        min_length=1, examples=[{"web": 3}]
    )


class RestartBody(Value):
    component: ComponentName | None = None


class ReconcileBody(Value):
    """Without `provider_id`, all providers. `remove_volumes`: also those of applications that are gone."""

    provider_id: PlainText = ""
    remove_volumes: Flag = False


class SettingsPatch(Value):
    """Merged into what is there; null takes a key away. Takes effect with the next deployment."""

    values: Annotated[dict[SettingKey, SettingValue | None], Field(max_length=1000)] = {}
    secrets: Annotated[dict[SettingKey, SecretName | None], Field(max_length=1000)] = {}


class SecretBody(Value):
    value: str = Field(min_length=1, max_length=262_144)


class ReplayBody(Value):
    workflow_id: str = Field(pattern=r"^[A-Za-z0-9._-]{1,255}$", examples=["change.shop"])
    run_id: str | None = Field(default=None, pattern=r"^[A-Za-z0-9-]{1,64}$")


class RouteBody(Value):
    """Requests to `component` that match all of `hosts`, `path`, `headers` and `cookies` go to `to`.

    `path` is a prefix that ends where a segment ends, the others match exactly; `port` 0 is the component's first
    with HTTP. A backend may be one `revision` of a component; its share is its `weight` among all. `mirror` gets a
    copy.
    """

    app: AppName = Field(examples=["shop"])
    component: ComponentName = Field(examples=["api"])
    port: PortOrFirst = 0
    hosts: tuple[HostName, ...] = Field(default=(), max_length=20)
    path: str = Field(default="/", pattern=r'^/[!-"$->@-~]*$', max_length=2000, examples=["/orders"])
    headers: Annotated[dict[Token, PlainText], Field(max_length=20)] = Field(default={}, examples=[{"x-beta": "yes"}])
    cookies: Annotated[dict[Token, CookieValue], Field(max_length=20)] = {}
    to: tuple[Backend, ...] = Field(
        min_length=1,
        max_length=20,
        examples=[[{"component": "api", "weight": 90}, {"component": "api", "revision": 3, "weight": 10}]],
    )
    mirror: ComponentName | None = None
    timeout_s: Annotated[float, Field(ge=0.001, le=86_400), NUMBER] | None = Field(
        default=None, description="null: no limit"
    )
    retries: Annotated[int, Field(ge=0, le=10), NUMBER] | None = Field(
        default=None,
        description="how often a request that reached nobody is sent again; null: until somebody is there, for 30 s",
    )


class RouteCreation(RouteBody):
    """Without `id`, one is made of the app, the component and the path."""

    id: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", examples=["orders-canary"])


class EndpointCreation(Value):
    """A server outside that answers on the same ports as `component`."""

    app: AppName = Field(examples=["shop"])
    component: ComponentName = Field(examples=["api"])
    address: Address = Field(examples=["192.0.2.7"])
    weight: Weight = 100


class EndpointBody(Value):
    """`weight` is its share among the endpoints of its component."""

    weight: Weight


class DomainBody(Value):
    """A name for a component, at the ports where names are answered.

    `certificate`: our `own` authority signs one, an `acme` server does, or `none`, and then HTTP alone answers. It is
    `given` with `chain` and `key`, PEM; neither is shown again. `port` 0 is the component's first with HTTP. `plain`
    answers HTTP, too, instead of redirecting it. With `redirect_to` everything is redirected to that name.
    """

    app: AppName = Field(examples=["shop"])
    component: ComponentName = Field(examples=["web"])
    port: PortOrFirst = 0
    certificate: CertificateKind = "own"
    chain: Pem | None = None
    key: Pem | None = Field(default=None, repr=False)
    plain: Flag = False
    redirect_to: Name | None = None


class DomainCreation(DomainBody):
    """`*.example.org` is every name below, but for those that are domains themselves."""

    host: Name = Field(examples=["shop.localhost"])


def git_source(url: str, ref: str, credential: str | None = None, subdir: str = "") -> GitSource:
    """Refuses what could never be fetched, an address that holds a password above all: it would be stored.

    Whether `file` and `http` are allowed is for the import to say. Raises `InvalidUrl`, `InvalidInput`.
    """
    parse_url(url, allow_file=True, allow_http=True)
    return GitSource(url=url, ref=check_ref(ref), credential=credential, subdir=_folder(subdir))


def slug(title: str, url: str) -> str:
    """`My Web App` -> `my-web-app`; a title without a usable letter gives the repository's name.

    Raises `InvalidInput` when that has none either.
    """
    last = re.split(r"[/:]", url.rstrip("/"))[-1].removesuffix(".git")
    found = next((s for s in map(_slug, (title, last)) if s), "")
    if not found:
        raise InvalidInput("no name can be made of that", where="name", hint="use letters a-z, digits and dashes")
    return found


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40].strip("-")


def _folder(path: str) -> str:
    parts = [p for p in path.split("/") if p not in ("", ".")]
    if path.startswith("/") or ".." in parts:
        raise InvalidInput("the folder is not inside the repository", where="subdir", hint="give a relative path")
    return "/".join(parts)

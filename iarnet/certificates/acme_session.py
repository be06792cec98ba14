"""One conversation with an ACME server (RFC 8555), by certbot's own client library. All calls block."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import requests
from acme import challenges, errors, messages
from acme.client import ClientNetwork, ClientV2
from josepy.errors import Error as JoseError
from josepy.jwa import ES256
from josepy.jwk import JWKEC

from iarnet.errors import AuthorityError, AuthorityRefused, AuthorityUnavailable, InvalidConfig, RateLimited

_NONCES = 3
_SLICE = timedelta(seconds=1.2)
_PAUSE_S = 3600.0
_LONGEST_PAUSE_S = 7 * 86_400.0

T = TypeVar("T")
Order = messages.OrderResource


class _Network(ClientNetwork):
    """A request whose nonce is no longer good has not been heard (RFC 8555, 6.5), so it does no harm to ask again.

    The library does so once, which is too seldom where several orders go on at the same time.
    """

    def post(self, *args: Any, **kwargs: Any) -> requests.Response:
        for _ in range(_NONCES):
            try:
                return super().post(*args, **kwargs)
            except messages.Error as error:
                if error.code != "badNonce":
                    raise
        return super().post(*args, **kwargs)


class AcmeSession:
    """`key` is the account's. What the server has against a request is raised as `AuthorityError`, in its words."""

    def __init__(self, directory: str, key: JWKEC, ca_bundle: Path | None, answers_s: int) -> None:
        self._directory = directory
        self._key = key
        trusted: Any = str(ca_bundle) if ca_bundle else True  # `requests` takes either, its user says bool
        self._net = _Network(key, None, ES256, trusted, "iarnet", answers_s)
        self._net.session.hooks["response"].append(self._heard)
        self._pause_s = _PAUSE_S
        self._client: ClientV2 | None = None

    def enter(self, agree: bool, email: str) -> None:
        """With an account, made when there is none for the key."""
        directory = self._asked(lambda: ClientV2.get_directory(self._directory, self._net))
        _check_terms(directory, self._directory, agree)
        self._client = client = ClientV2(directory, self._net)
        account = messages.NewRegistration.from_data(email=email or None, terms_of_service_agreed=True)
        self._asked(lambda: _account(client, account))

    def order(self, request: bytes) -> Order:
        """`request`: a certificate signing request, PEM."""
        return self._asked(lambda: self._entered.new_order(request))

    def proofs(self, order: Order) -> list[tuple[messages.ChallengeBody, str, str]]:
        """What has to be answered, its token, and the answer. None when the server remembers an earlier proof."""
        return [self._proof(each) for each in order.authorizations if each.body.status != messages.STATUS_VALID]

    def ready(self, challenge: messages.ChallengeBody) -> None:
        """The answer is where the server looks for it."""
        self._asked(lambda: self._entered.answer_challenge(challenge, challenge.chall.response(self._key)))

    def decided(self, order: Order) -> Order | None:
        """The order as it is once the server is convinced; None while it is not, after a second."""
        return self._asked(lambda: _within(self._entered.poll_authorizations, order))

    def finish(self, order: Order) -> Order:
        """Have it signed."""
        return self._asked(lambda: _finished(self._entered, order))

    def chain(self, order: Order) -> str | None:
        """PEM; None while it is not signed, after a second or two."""
        signed = self._asked(lambda: _within(self._entered.poll_finalization, order))
        return str(signed.fullchain_pem) if signed else None

    @property
    def _entered(self) -> ClientV2:
        assert self._client, "enter() comes first"
        return self._client

    def _proof(self, authorization: messages.AuthorizationResource) -> tuple[messages.ChallengeBody, str, str]:
        for challenge in authorization.body.challenges:
            if isinstance(challenge.chall, challenges.HTTP01):
                return challenge, challenge.chall.encode("token"), challenge.chall.validation(self._key)
        raise AuthorityRefused(
            f"{self._directory} takes no proof over HTTP for {authorization.body.identifier.value}.",
            hint="Give a certificate of your own, with --cert and --key.",
        )

    def _heard(self, response: requests.Response, **_: object) -> None:
        after = response.headers.get("Retry-After", "")
        self._pause_s = min(float(after), _LONGEST_PAUSE_S) if after.isdigit() else _PAUSE_S

    def _asked(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except errors.ValidationError as error:
            self._refuse(*_failed(error))
        except errors.IssuanceError as error:
            self._refuse(error.error)
        except messages.Error as error:
            self._refuse(error)
        except (requests.RequestException, errors.Error, JoseError) as error:
            raise AuthorityUnavailable(
                f"{self._directory} does not answer as an ACME server does: {_words(error)}.",
                where="gateway.acme.directory",
                hint="Is the address right, and can this machine reach and trust it (gateway.acme.ca_bundle)?",
            ) from None

    def _refuse(self, *problems: messages.Error) -> NoReturn:
        told = "; ".join(_told(problem) for problem in problems) or "no reason given"
        code = next((problem.code for problem in problems if problem.code), "")
        raise self._refusal(code, f"{self._directory} says: {told}") from None

    def _refusal(self, code: str, message: str) -> AuthorityError:
        if code == "rateLimited":
            limited = RateLimited(message)
            limited.again_in_s = self._pause_s
            return limited
        if code in ("serverInternal", "badNonce"):
            return AuthorityUnavailable(message)
        return AuthorityRefused(message, hint=_HINTS.get(code, ""))


_REACHABLE = "The name must lead to this machine, and gateway.http_port be reached from outside as port 80."
_HINTS = {
    "connection": _REACHABLE,
    "unauthorized": _REACHABLE,
    "dns": "Its DNS must have an address for the name.",
    "caa": "The DNS of the name says with CAA records who may issue certificates for it.",
    "rejectedIdentifier": "Such names are for our own authority: certificate own.",
    "invalidContact": "Look at gateway.acme.email.",
    "unsupportedContact": "Look at gateway.acme.email.",
}


def _within(poll: Callable[[Order, datetime], Order], order: Order) -> Order | None:
    """One look. The library would look for a minute and a half, and a node that ends waits for its threads."""
    try:
        return poll(order, datetime.now() + _SLICE)
    except errors.TimeoutError:
        return None


def _check_terms(directory: messages.Directory, address: str, agree: bool) -> None:
    meta = directory.meta
    if meta.external_account_required:
        raise AuthorityRefused(
            f"{address} gives certificates only to accounts that are made elsewhere (external account binding).",
            where="gateway.acme.directory",
            hint="Choose another server, or give certificates of your own, with --cert and --key.",
        )
    if not agree:
        raise InvalidConfig(
            f"{address} asks to agree to its terms of service: {meta.terms_of_service or 'see there'}",
            where="gateway.acme.agree",
            hint="If you do: gateway.acme.agree: true",
        )


def _account(client: ClientV2, account: messages.NewRegistration) -> None:
    try:
        client.new_account(account)
    except errors.ConflictError as known:
        client.net.account = messages.RegistrationResource(uri=known.location, body=messages.Registration())


def _finished(client: ClientV2, order: Order) -> Order:
    try:
        return client.begin_finalization(order)
    except messages.Error as error:
        if error.code != "orderNotReady":
            raise
        return order  # the polls ask for it once more


def _failed(error: errors.ValidationError) -> list[messages.Error]:
    return [each.error for a in error.failed_authzrs for each in a.body.challenges if each.error is not None]


def _told(problem: messages.Error) -> str:
    parts = [
        problem.detail or problem.description or problem.typ,
        *(_told(each) for each in problem.subproblems or ()),
    ]
    return "; ".join(parts)


def _words(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    if isinstance(said, requests.Response):
        return f"status {said.status_code}"
    return str(getattr(said, "reason", "") or error) or type(error).__name__

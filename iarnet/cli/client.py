"""The node's API, over HTTP."""

import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from iarnet.errors import IarnetError, InvalidInput, NodeUnreachable, error_from

CONNECT_S, ANSWER_S = 5.0, 60.0
# A stream says at least `: ping` every 15 seconds.
SILENCE_S = 45.0


@dataclass(frozen=True)
class Node:
    """One node. Every call raises the error that the node answered with, or `NodeUnreachable`."""

    address: str
    token: str = field(repr=False)
    ca_file: Path | None = None

    def get(self, *path: str, **query: Any) -> Any:
        return self._call("GET", path, query)

    def post(self, *path: str, body: Any = None, within_s: float = ANSWER_S) -> Any:
        return self._call("POST", path, {}, {} if body is None else body, within_s)

    def put(self, *path: str, body: Any) -> Any:
        return self._call("PUT", path, {}, body)

    def delete(self, *path: str, **query: Any) -> Any:
        return self._call("DELETE", path, query)

    def follow(self, *path: str, **query: Any) -> Iterator[tuple[str, Any]]:
        """Server-sent events as (name, data) until the stream ends."""
        with self._client(SILENCE_S) as client:
            try:
                with client.stream("GET", _joined(path), params=_given(query)) as response:
                    if response.is_error:
                        response.read()
                    _raise_for(response)
                    yield from _events(response.iter_lines())
            except httpx.TransportError as error:
                raise self._unreachable(error) from error

    def _call(
        self, method: str, path: tuple[str, ...], query: dict[str, Any], body: Any = None, within_s: float = ANSWER_S
    ) -> Any:
        with self._client(within_s) as client:
            try:
                response = client.request(method, _joined(path), params=_given(query), json=body)
            except httpx.TransportError as error:
                raise self._unreachable(error) from error
            except (httpx.InvalidURL, UnicodeError) as error:
                raise InvalidInput(f"not a usable address: {error}", where=self.address) from error
        _raise_for(response)
        return _decoded(response) if response.content else None

    def _client(self, read_s: float) -> httpx.Client:
        # A proxy of the environment must not get what is meant for this machine.
        local = urlsplit(self.address).hostname in ("localhost", "127.0.0.1", "::1")
        return httpx.Client(
            base_url=self.address,
            headers={"Authorization": f"Bearer {self.token}"} if self.token else {},
            timeout=httpx.Timeout(read_s, connect=CONNECT_S),
            trust_env=not local,
            verify=_trust(self.ca_file) if self.address.startswith("https") else False,
        )

    def _unreachable(self, error: httpx.TransportError) -> IarnetError:
        if isinstance(error, httpx.UnsupportedProtocol):
            return InvalidInput("not a usable address", where=self.address, hint="write http://host:8083")
        return NodeUnreachable(
            f"the node does not answer: {error or type(error).__name__}",
            where=self.address,
            hint="start it with `iarnet up`, or name another with --server; `iarnet doctor` finds what is missing",
        )


def _joined(path: tuple[str, ...]) -> str:
    return "/api/v1/" + "/".join(quote(part, safe="") for part in path)


def _given(query: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in query.items() if value is not None}


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file and ca_file.is_file():
        context.load_verify_locations(ca_file)
    return context


def _raise_for(response: httpx.Response) -> None:
    if response.is_redirect:
        raise InvalidInput("that is not the address of a node: it redirects", where=str(response.url))
    if not response.is_error:
        return
    try:
        raise problem(response.json())
    except (ValueError, AttributeError) as error:
        text = f"the answer was {response.status_code} {response.reason_phrase} and not from a node"
        raise InvalidInput(text, where=str(response.url), hint="check --server") from error


def problem(data: dict[str, Any]) -> IarnetError:
    """The error that a problem+json document stands for."""
    return error_from({**data, "message": data.get("detail") or data.get("title") or ""})


def _decoded(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError as error:
        hint = "check --server"
        raise InvalidInput("the answer is not from a node: not JSON", where=str(response.url), hint=hint) from error


def _events(lines: Iterator[str]) -> Iterator[tuple[str, Any]]:
    name, data = "message", ""
    for line in lines:
        key, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if key == "event":
            name = value
        elif key == "data":
            data += value
        elif not line and data:
            if name == "error":
                raise problem(json.loads(data))
            yield name, json.loads(data)
            name, data = "message", ""

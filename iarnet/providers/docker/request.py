"""Requests that the SDK has no method for, or one that hides what we need."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import docker
import requests
from docker.errors import create_api_error_from_http_exception
from docker.types import CancellableStream

from iarnet.providers.docker.stream import Stream

T = TypeVar("T")

_CONNECT_S = 60


def request(client: docker.APIClient, method: str, path: str, **given: Any) -> requests.Response:
    """Without a limit on how long the answer takes. Raises `docker.errors.APIError`."""
    url = f"{client.base_url}/v{client.api_version}{path}"
    response = client.request(method, url, timeout=(_CONNECT_S, None), **given)
    try:
        response.raise_for_status()
    except requests.HTTPError as e:
        # It raises, whatever its name says.
        create_api_error_from_http_exception(e)
    return response


def stream(
    client: docker.APIClient, method: str, path: str, read: Callable[[requests.Response], Iterator[T]], **given: Any
) -> Stream[T]:
    """An answer that may go on for ever, as what `read` makes of it."""
    response = request(client, method, path, stream=True, **given)
    return CancellableStream(read(response), response)

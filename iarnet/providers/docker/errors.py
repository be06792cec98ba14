"""What a Docker engine says when it refuses, as errors of ours."""

import re

import docker.errors
import requests

from iarnet.errors import (
    Conflict,
    IarnetError,
    ImageUnavailable,
    NoRoom,
    NotFound,
    ProviderError,
    ProviderRefused,
    ProviderUnavailable,
)

_PORT = re.compile(r"(?:listen (?:tcp|udp)\d? |bind for |bind host port (?:for )?)\S*?:(\d+)", re.IGNORECASE)
_PORT_HELD = ("port is already allocated", "address already in use")
_CANT_RUN = ("unable to find user", "OCI runtime create failed", "executable file not found", "failed to create task")
_NO_ADDRESS = "no available IPv4 addresses"
_NO_SPACE = "no space left on device"
_CONNECTION_HINTS = (
    ("permission denied", "give this user access to the engine's socket (group `docker`)"),
    ("no such file", "start Docker, or set `docker_host` to where it listens"),
    ("filenotfounderror", "start Docker, or set `docker_host` to where it listens"),
    ("connection refused", "start Docker, or set `docker_host` to where it listens"),
    ("certificate", "check the CA and client certificates given for this provider, and the host name in its URL"),
    ("ssl", "check the CA and client certificates given for this provider"),
    ("name or service not known", "check the host name in the provider's URL"),
    ("name resolution", "check the host name in the provider's URL"),
    ("timed out", "check that the host is up and that no firewall is in between"),
)


def error_from_engine(error: Exception, where: str) -> IarnetError:
    """`error` is whatever the SDK raised; `where` is the engine's URL."""
    if isinstance(error, docker.errors.APIError):
        return _answered(error, where)
    if isinstance(error, docker.errors.DockerException | requests.RequestException | OSError):
        return unreachable(str(error), where)
    raise error


def unreachable(reason: str, where: str) -> ProviderUnavailable:
    text = reason.lower()
    hint = next((h for word, h in _CONNECTION_HINTS if word in text), "check that the Docker engine runs")
    return ProviderUnavailable(f"The Docker engine can't be reached: {reason}", where=where, hint=hint)


def taken_port(error: IarnetError) -> int | None:
    """The host port that something else holds, if that is the engine's complaint; 0: it doesn't say which."""
    if not any(words in error.message for words in _PORT_HELD):
        return None
    found = _PORT.search(error.message)
    return int(found[1]) if found else 0


def cannot_run(error: IarnetError) -> bool:
    """Whether the program of the container could not be started at all."""
    return any(words in error.message for words in _CANT_RUN)


def _answered(error: docker.errors.APIError, where: str) -> IarnetError:
    words = str(error.explanation or error)
    if isinstance(error, docker.errors.ImageNotFound):
        return ImageUnavailable(words, where=where, hint="build or pull the image first")
    if error.status_code == 404:
        return NotFound(words, where=where)
    if error.status_code == 409:
        return Conflict(words, where=where)
    if _NO_ADDRESS in words:
        hint = "`iarnet stop` and `iarnet start` the app: its network is made again, with room for what it has now"
        return NoRoom(words, where=where, hint=hint)
    if _NO_SPACE in words:
        return ProviderError(
            words, where=where, hint="free disk space on that host, for example with `docker system prune`"
        )
    if error.status_code in (400, 403):
        return ProviderRefused(words, where=where, hint="change what the engine complains about")
    return ProviderError(words, where=where, hint="look at the engine's log on that host")

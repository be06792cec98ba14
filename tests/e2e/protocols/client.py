"""Asks without end, in every protocol, and prints what comes of it: `client.py web=HOST:PORT calls=HOST:PORT …`.

A line is a protocol, `once` or `stream` or `long`, and the word that came, as often as it was wanted; or, for `long`,
each time that it came. A failure is `FAILED`, the end of a long stream `ENDED`, and more behind that.
"""

import logging
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator

import grpc
import httpx
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Request, TextMessage

WANTED = {"once": 1, "stream": 10, "long": 1_000_000}
_PAUSE_S = 0.1
_PATIENCE_S = 30.0

Address = tuple[str, int]
Ask = Callable[[Address, int], Iterator[str]]


def http1(at: Address, times: int) -> Iterator[str]:
    return _http(at, times, httpx.Client(verify=False, timeout=_PATIENCE_S))


def http2(at: Address, times: int) -> Iterator[str]:
    return _http(at, times, httpx.Client(verify=False, timeout=_PATIENCE_S, http1=False, http2=True))


def _http(at: Address, times: int, client: httpx.Client) -> Iterator[str]:
    with client, client.stream("GET", f"http://{at[0]}:{at[1]}/{times}") as answer:
        answer.raise_for_status()
        yield from answer.iter_lines()


def websocket(at: Address, times: int) -> Iterator[str]:
    with socket.create_connection(at, _PATIENCE_S) as wire:
        connection = WSConnection(ConnectionType.CLIENT)
        wire.sendall(connection.send(Request(host=at[0], target="/")))
        connection.receive_data(wire.recv(65536))
        answer = next(connection.events())
        if not isinstance(answer, AcceptConnection):
            raise ConnectionError(f"no WebSocket: {answer}")
        wire.sendall(connection.send(TextMessage(data=str(times))))
        while data := wire.recv(65536):
            connection.receive_data(data)
            for event in connection.events():
                if isinstance(event, CloseConnection):
                    return
                if isinstance(event, TextMessage):
                    yield event.data


def calls(at: Address, times: int) -> Iterator[str]:
    with grpc.insecure_channel(f"{at[0]}:{at[1]}") as channel:
        call = channel.unary_stream("/protocols.Words/Say")
        yield from (answer.decode() for answer in call(str(times).encode()))


def lines(at: Address, times: int) -> Iterator[str]:
    with socket.create_connection(at, _PATIENCE_S) as wire, wire.makefile("rw") as file:
        file.write(f"{times}\n")
        file.flush()
        for line in file:
            yield line.strip()


def packets(at: Address, times: int) -> Iterator[str]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
        wire.settimeout(_PATIENCE_S)
        wire.connect(at)
        for _ in range(times):
            wire.send(b"?")
            yield wire.recv(100).decode()
            time.sleep(_PAUSE_S)


ASKS: dict[str, tuple[Ask, ...]] = {
    "web": (http1, http2, websocket),
    "sockets": (websocket,),
    "calls": (calls,),
    "lines": (lines,),
    "packets": (packets,),
}


def repeat(name: str, length: str, ask: Ask, at: Address) -> None:
    told = logging.getLogger()
    while True:
        try:
            words = list(ask(at, WANTED[length]))
        except Exception as error:
            told.info("%s %s FAILED %s", name, length, _line(error))
        else:
            whole = len(words) == WANTED[length] and len(set(words)) == 1
            told.info("%s %s %s", name, length, words[0] if whole else f"FAILED {len(words)} of {set(words)}")
        time.sleep(_PAUSE_S)


def follow(name: str, ask: Ask, at: Address) -> None:
    """As long as it lasts, and then anew."""
    told = logging.getLogger()
    while True:
        why = "whole"
        try:
            for word in ask(at, WANTED["long"]):
                told.info("%s long %s", name, word)
        except Exception as error:
            why = _line(error)
        told.info("%s long ENDED %s", name, why)
        time.sleep(_PAUSE_S)


def _line(error: Exception) -> str:
    return " ".join(repr(error).split())


def main(places: list[str]) -> None:
    logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    for component, _, place in (each.partition("=") for each in places):
        host, _, port = place.rpartition(":")
        for ask in ASKS[component]:
            name, at = f"{component}/{ask.__name__}", (host, int(port))
            # Datagrams of one client may be answered by several.
            for length in ("once",) if ask is packets else ("once", "stream"):
                threading.Thread(target=repeat, args=(name, length, ask, at)).start()
            threading.Thread(target=follow, args=(name, ask, at)).start()


if __name__ == "__main__":
    main(sys.argv[1:])

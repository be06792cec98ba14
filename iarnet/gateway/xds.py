"""The server from which Envoy has its configuration: incremental, aggregated discovery over a unix socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import structlog
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DeltaDiscoveryResponse

from iarnet.errors import GatewayRefused, GatewayUnavailable, Missing
from iarnet.gateway.delta import Batch, Conversation, Items, app_of, items
from iarnet.gateway.outbox import Outbox
from iarnet.gateway.resources import Resources

_SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"
_METHOD = "DeltaAggregatedResources"
# An Envoy that connects again tells all that it has in one message.
_OPTIONS = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
_NAMED = 5
# A port that something else holds may be free again by then.
_AGAIN_S = 30.0

log = structlog.get_logger()


@dataclass
class _App:
    """`good` is what was accepted last; `settled` is set while Envoy has what it is to have; `insists`: see `put`."""

    wanted: Items
    good: Items
    insists: bool = False
    refusal: GatewayRefused | None = None
    settled: asyncio.Event = field(default_factory=asyncio.Event)


class AdsServer:
    """What each app wants, and the conversation with the Envoy that connected last.

    A change of one app costs only that app. Whatever Envoy has of an app that was not put before `start`, goes.
    """

    def __init__(self) -> None:
        self._apps: dict[str, _App] = {}
        self._server: grpc.aio.Server | None = None
        self._talk: Conversation | None = None
        self._before: Conversation | None = None
        self._unsettled: set[str] = set()
        self._first: set[str] = set()
        self._outgoing = Outbox(Conversation())

    async def start(self, path: Path) -> None:
        """Listen there. What has been put until now counts as accepted: a part that is refused is left out.

        Raises `Missing`.
        """
        self._server = grpc.aio.server(options=_OPTIONS)
        handler = grpc.stream_stream_rpc_method_handler(
            self._stream, DeltaDiscoveryRequest.FromString, DeltaDiscoveryResponse.SerializeToString
        )
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, {_METHOD: handler}),))
        try:
            self._server.add_insecure_port(f"unix:{path}")
        except RuntimeError as error:
            raise Missing(f"{path} can't be listened on: {error}", where=str(path)) from error
        await self._server.start()

    async def stop(self) -> None:
        """Envoy goes on with what it has."""
        if self._server is not None:
            await self._server.stop(grace=None)
            self._server = None

    def put(self, app: str, resources: Resources, *, insist: bool = False) -> None:
        """Replace what the app had; nothing removes it. Names of resources begin with the app's and a slash.

        With `insist`, what Envoy refuses is left out and tried again, instead of going back to what it had before.
        """
        wanted = items(resources)
        if foreign := [name for named in wanted.values() for name in named if app_of(name) != app]:
            raise ValueError(f"resources of another app than {app}: {foreign}")
        state = self._apps.get(app)
        if state is None:
            state = self._apps[app] = _App(wanted, {})
        self._unsettled.add(app)
        state.wanted, state.refusal, state.insists = wanted, None, insist
        if self._server is None:
            state.good = wanted
        state.settled.clear()
        if self._talk is not None:
            self._talk.reconsider(app)
            self._advance(app)

    def refusal(self, app: str) -> GatewayRefused | None:
        """Why it does not have all that was put last for the app."""
        return state.refusal if (state := self._apps.get(app)) else None

    async def settled(self, app: str, timeout_s: float) -> None:
        """Return once Envoy has accepted what was put last for the app, endpoints and routes included.

        Raises `GatewayRefused` with Envoy's reason when it did not: then it has what it had accepted before, or, of
        what is insisted on, the rest.
        Raises `GatewayUnavailable` when it has not answered in time.
        """
        state = self._apps.get(app)
        if state is None:
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(state.settled.wait(), timeout_s)
        if state.refusal is not None:
            raise state.refusal
        if not state.settled.is_set():
            raise self._unanswered(app, state, timeout_s)

    async def _stream(self, requests: AsyncIterator[Any], _: object) -> AsyncIterator[Any]:
        """One connection. The newest counts: an Envoy that died may not have been missed yet."""
        talk = self._talk = Conversation(self._before)
        self._before = talk
        outgoing = self._outgoing = Outbox(talk)
        self._unsettled, self._first = set(self._apps), set()
        for state in self._apps.values():
            state.settled.clear()
        listening = asyncio.create_task(self._listen(requests, talk, outgoing))
        try:
            while (response := await outgoing.get()) is not None:
                yield response
            await listening
        finally:
            listening.cancel()
            if self._talk is talk:
                self._talk = None

    async def _listen(self, requests: AsyncIterator[Any], talk: Conversation, outgoing: Outbox) -> None:
        try:
            async for request in requests:
                if self._talk is not talk:
                    break
                self._hear(request, talk)
        finally:
            outgoing.put(None)

    def _hear(self, request: DeltaDiscoveryRequest, talk: Conversation) -> None:
        opens = talk.opens(request)
        answer = talk.hear(request)
        if opens:
            self._outgoing.put(talk.empty(request.type_url))
        if answer.refused is not None:
            self._refused(answer.refused, answer.reason, talk)
        for app in talk.apps | self._apps.keys() if opens else answer.apps:
            self._advance(app)

    def _advance(self, app: str) -> None:
        talk, state = self._talk, self._apps.get(app)
        if talk is None:
            return
        wanted = state.wanted if state else {}
        while response := talk.next(app, wanted):
            self._outgoing.put(response)
        if talk.complete(app, wanted):
            self._settle(app, state, talk)
            self._complete(talk)

    def _complete(self, talk: Conversation) -> None:
        """What is there in its first form becomes whole, but not before everybody has that: Envoy may accept nothing
        more until it has asked all endpoints, or has waited for them."""
        if self._unsettled:
            return
        apps, self._first = self._first, set()
        for app in apps & self._apps.keys():
            wanted = self._apps[app].wanted
            response = talk.replace(app, wanted)
            while response:
                self._outgoing.put(response)
                response = talk.next(app, wanted)

    def _settle(self, app: str, state: _App | None, talk: Conversation) -> None:
        self._unsettled.discard(app)
        self._first.add(app)
        if state is not None:
            if state.insists and not talk.passes_over(app):
                state.refusal = None
            state.good = state.wanted
            state.settled.set()
        if state is None or not (state.refusal or any(state.wanted.values())):
            self._apps.pop(app, None)
            talk.forget(app)

    def _refused(self, batch: Batch, reason: str, talk: Conversation) -> None:
        """Go back to what was accepted last; what was part of that can only be left out for a while."""
        state = self._apps.get(batch.app)
        refusal = _refusal(batch, reason)
        log.warning("Envoy refuses a configuration", app=batch.app, where=refusal.where, reason=reason)
        if batch.replaces:
            return  # what it was to replace stays
        if state is None or state.insists or _is_part(batch, state.good):
            if state and state.insists:
                state.refusal = state.refusal or refusal
            talk.pass_over(batch)
            asyncio.get_running_loop().call_later(_AGAIN_S, self._try_again, batch.app, talk)
        else:
            state.refusal = state.refusal or refusal
            state.wanted = state.good

    def _try_again(self, app: str, talk: Conversation) -> None:
        if self._talk is talk:
            talk.reconsider(app)
            self._advance(app)

    def _unanswered(self, app: str, state: _App, timeout_s: float) -> GatewayUnavailable:
        if self._talk is None:
            return GatewayUnavailable("No Envoy is connected.", where=app, hint="Its log says why; try again.")
        missing = ", ".join(self._talk.missing(app, state.wanted)[:_NAMED])
        return GatewayUnavailable(
            f"Envoy has not taken over {missing or 'the configuration'} within {timeout_s:g} s.", where=app
        )


def _is_part(batch: Batch, good: Items) -> bool:
    named = good.get(batch.type, {})
    return all((named[name].version if name in named else None) == v for name, v in batch.versions.items())


def _refusal(batch: Batch, reason: str) -> GatewayRefused:
    named = sorted(name for name in batch.versions if name in reason) or sorted(batch.versions)
    return GatewayRefused(
        f"Envoy does not accept {', '.join(named[:_NAMED])}: {reason.strip()}",
        where=named[0] if named else batch.app,
        hint="What was accepted last goes on. Change what the reason names, and try again.",
    )

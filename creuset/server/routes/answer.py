"""One request for a route: the targets are asked one after another until one has begun to answer.

Nothing is sent to the client before a target has something to say. From then on nothing is replayed: a reply that
breaks ends with an error of its dialect that says so.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from creuset.core.errors import CreusetError, EngineError, RequestError
from creuset.server.engines.pool import AnyEngine
from creuset.server.engines.relay import Relay
from creuset.server.engines.upstream import UpstreamLacks, UpstreamTimeout, UpstreamUnknown
from creuset.server.middleware import CLIENT_GONE
from creuset.server.routes.config import Reason
from creuset.server.routes.failures import AllResting, reason_of
from creuset.server.routes.health import backoff, kind_of
from creuset.server.routes.router import ModelRoute, ModelRouter, Target
from creuset.server.state import context_of
from creuset.server.stream import EventStream, disconnected
from creuset.types.served import ServedBy

Attempt = Callable[[str, AnyEngine], Awaitable[ASGIApp]]
FORBIDDEN = "no other model was asked, since the request says `allow_fallbacks: false`"
REPLAYED = "the reply had begun, so no other model was asked"
SOON_S = 1.0  # what is said where nobody knows better
LONGEST_WAIT_S = 10.0  # for a target that said when to come again


@dataclass(slots=True)
class RoutedAnswer:
    """An ASGI response. `once` asks one target: it gets the name that the reply says, and the engine."""

    router: ModelRouter
    route: ModelRoute
    request: Request
    served: ServedBy
    once: Attempt
    streamed: bool
    fallback: bool = True  # whether another target may be asked after the first
    pause: Callable[[float], Awaitable[object]] = asyncio.sleep
    _attempts: int = 0
    _failure: Exception | None = None
    _only: Target | None = None  # where no other may be asked
    _failed: set[str] = field(default_factory=set)  # targets with whose health a failure of this request was counted
    _started: bool = field(default=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        context = context_of(self.request)
        self.route.budget.request()
        for turn in range(self.route.spec.retries + 1):
            if await self._round(scope, receive, send):
                return
            failure = self._failure or AllResting(f"no target of {self.route.name} takes requests now")
            wait = self._wait(failure, turn + 1)
            if turn == self.route.spec.retries or wait is None or not self.route.budget.take():
                context.facts["attempts"] = self._attempts
                raise failure
            if await self._gone(receive, wait):
                return await Response(status_code=CLIENT_GONE)(scope, receive, send)

    def _wait(self, failure: Exception, turn: int) -> float | None:
        """Seconds before the next round; None: none would help."""
        if reason_of(failure) not in ("failure", "overload") or isinstance(failure, UpstreamLacks | UpstreamUnknown):
            return None
        asked = getattr(failure, "retry_after", None)
        if asked is not None and asked > LONGEST_WAIT_S:
            return None
        return max(asked or 0.0, backoff(turn, self.router.rng))

    async def _gone(self, receive: Receive, wait: float) -> bool:
        """Whether the client hung up while it was waited."""
        gone = asyncio.ensure_future(disconnected(receive))
        rest = asyncio.ensure_future(self.pause(wait))
        try:
            await asyncio.wait((gone, rest), return_when=asyncio.FIRST_COMPLETED)
            return gone.done()
        finally:
            gone.cancel()
            rest.cancel()

    async def _round(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """Ask each target once. True: the client has its reply. Raises what no other target would mend."""
        who = context_of(self.request).who
        plan = self.router.order(self.route, who)
        lawful = [one for one in plan if not self.router.lawful(who, one.place)]
        if plan and not lawful:
            raise RequestError(self.router.lawful(who, plan[0].place), param="model", code="no_lawful_target")
        if lawful and not self.fallback:
            self._only = self._only or lawful[0]
            lawful = [self._only]
        reason: Reason | None = None
        for at, target in enumerate(lawful):
            objection = self.router.objection(target, who, reason, kind_of(self.request.url.path))
            if objection is not None:
                if not self.fallback:
                    why = "is full" if objection == "overload" else "takes no requests now"
                    name = target.engine.name
                    self._failure = self._failure or AllResting(f"{name} {why}, and {FORBIDDEN}")
                reason = reason or objection
                continue
            last = at == len(lawful) - 1
            try:
                await self._ask(target, scope, receive, send, last=last)
                return True
            except (CreusetError, TimeoutError) as error:
                told = error
                if isinstance(error, TimeoutError):
                    told = UpstreamTimeout(f"the server behind {target.engine.name} did not begin to answer in time")
                reason = reason_of(told)
                if self._started or reason is None:
                    raise told from None
                if self._failure is None or not isinstance(told, UpstreamLacks):
                    self._failure = told  # what another one lacks tells less
                context_of(self.request).facts.setdefault("passed", []).append(f"{target.id}: {reason}")
        if self._failure is None and reason == "overload":
            self._failure = AllResting(f"every target of {self.route.name} is full; try again")
        return False

    async def _ask(self, target: Target, scope: Scope, receive: Receive, send: Send, *, last: bool) -> None:
        context = context_of(self.request)
        self._attempts += 1
        context.served = msgspec.structs.replace(
            self.served, asked=self.route.name, target=target.id, place=target.place, own_key=target.own_key,
            attempt=self._attempts,
        )  # fmt: skip
        context.told |= {
            b"x-creuset-model": as_header(target.engine.name), b"x-creuset-target": as_header(target.id),
        }  # fmt: skip
        context.facts |= {"asked": self.route.name, "target": target.id}
        self.router.leases.take(target.id)
        circuit = target.circuits.of(kind_of(self.request.url.path))
        circuit.begin()
        ended = circuit.left

        def failed() -> None:
            """A request counts once, however often it is tried again."""
            if circuit.trying or target.id not in self._failed:
                circuit.failed()
            self._failed.add(target.id)

        first_byte = self.route.spec.first_byte_s if self.streamed and not last else None
        try:
            async with asyncio.timeout(first_byte) as limit:

                async def begun(message: Message) -> None:
                    nonlocal ended
                    if not self._started:
                        self._started, ended = True, circuit.worked
                        limit.reschedule(None)
                    await send(message)

                def broke(error: Exception) -> None:
                    nonlocal ended
                    if isinstance(error, EngineError):
                        ended = failed
                    error.args = (f"{error}; {REPLAYED}",)

                answer = await self.once(target.engine.name, target.engine)
                if isinstance(answer, Relay | EventStream):
                    answer.patient, answer.on_break = not last, broke
                if isinstance(answer, Relay):
                    answer.raises = True
                await answer(scope, receive, begun)
        except (EngineError, TimeoutError) as error:
            counts = reason_of(error) == "failure" or isinstance(error, TimeoutError)
            if counts and not isinstance(error, UpstreamUnknown):
                ended = failed
            raise
        except RequestError as error:
            if reason_of(error) == "overload" and (error.retry_after or 0) > SOON_S:
                circuit.pause(error.retry_after or 0)
            raise
        finally:
            ended()
            self.router.leases.drop(target.id)


def as_header(text: str) -> bytes:
    return text.encode("ascii", "backslashreplace").replace(b"\n", b" ").replace(b"\r", b" ")

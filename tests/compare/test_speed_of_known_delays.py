"""A server whose delays are known, in a loop whose time only passes when all wait: the tool must find the delays."""

import asyncio
import json
import selectors

import httpx
import pytest

from creuset.benchmarks.service.speed import measure, spread
from creuset.types.usage import Load


class Jump(selectors.DefaultSelector):
    """Nothing is waited for: the time of the next event is now."""

    def __init__(self):
        super().__init__()
        self.now = 0.0

    def select(self, timeout=None):
        self.now += timeout or 0.0
        return super().select(0)


def virtual(make):
    """The result of the coroutine that `make(clock)` gives, in virtual time."""
    selector = Jump()
    loop = asyncio.SelectorEventLoop(selector)
    loop.time = lambda: selector.now
    try:
        return loop.run_until_complete(make(loop.time))
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


class Server(httpx.AsyncBaseTransport):
    """Answers request k after `first[k]` seconds, then a piece each `gap[k]`; `tokens` in all."""

    def __init__(self, first, gap, tokens):
        self.first, self.gap, self.tokens, self.asked, self.open, self.most = first, gap, tokens, 0, 0, 0

    async def handle_async_request(self, request):
        number = self.asked % len(self.first)
        self.asked += 1
        self.open += 1
        self.most = max(self.most, self.open)
        body = Body(self, self.first[number], self.gap[number])
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=body)


class Body(httpx.AsyncByteStream):
    def __init__(self, server, first, gap):
        self.server, self.first, self.gap, self.sent = server, first, gap, 0

    def __aiter__(self):
        return self

    async def __anext__(self):
        self.sent += 1
        if self.sent <= self.server.tokens:
            await asyncio.sleep(self.first if self.sent == 1 else self.gap)
            return f"data: {json.dumps({'choices': [{'delta': {'content': 'x '}}]})}\n\n".encode()
        if self.sent == self.server.tokens + 1:
            usage = {"prompt_tokens": 20, "completion_tokens": self.server.tokens}
            return f"data: {json.dumps({'choices': [], 'usage': usage})}\n\ndata: [DONE]\n\n".encode()
        raise StopAsyncIteration

    async def aclose(self):
        self.server.open -= 1


def timed(server, **load):
    asked = Load(**({"requests": 8, "concurrency": 1, "max_tokens": 16, "prompt_words": 5} | load))
    return virtual(
        lambda clock: measure("http://server/v1", "m", asked, date="2026-01-01", clock=clock, transport=server)
    )


@pytest.mark.parametrize("streams", [1, 2, 4])
def test_constant_delays_are_found_exactly(streams):
    server = Server([0.25], [0.05], 11)
    speed, calls = timed(server, concurrency=streams)
    assert server.most == streams and server.asked == 9, "as many open as asked for; one to warm up"
    assert (speed.first_p50_s, speed.first_p95_s) == pytest.approx((0.25, 0.25))
    assert speed.whole_p50_s == pytest.approx(0.25 + 10 * 0.05) and speed.stream_p50 == pytest.approx(1 / 0.05)
    assert speed.wall_s == pytest.approx(8 / streams * 0.75)
    assert speed.together == pytest.approx(8 * 11 / (8 / streams * 0.75))
    assert speed.first_spread_s == pytest.approx([0.25] * 4) and speed.stream_spread == pytest.approx([20.0] * 4)
    assert len(calls) == 8 and speed.warm_up == 1 and speed.failed == 0


def test_delays_that_differ_are_found_with_their_spread():
    # The warm-up request takes the first delay, an hour: it must not be in any figure.
    firsts = [0.9, 0.1, 0.8, 0.2, 0.7, 0.3, 0.6, 0.4, 0.5]
    speed, _ = timed(Server([3600.0, *firsts], [0.01] * 10, 3), requests=9)
    assert speed.first_p50_s == pytest.approx(0.5) and speed.first_p95_s == pytest.approx(0.9)
    low, high, quarter, three = speed.first_spread_s
    # Of nine values the second and the eighth hold the median with 1 - 2 x 10/512 = 96.1 %.
    assert (low, high) == pytest.approx((0.2, 0.8)) and (quarter, three) == pytest.approx((0.3, 0.7))
    assert speed.whole_p50_s == pytest.approx(0.52) and speed.wall_s == pytest.approx(sum(firsts) + 9 * 0.02)


def test_the_interval_of_a_median_is_that_of_its_order_statistics():
    assert spread([1.0, 2.0, 3.0, 4.0, 5.0]) is None, "five values hold no 95 % interval of their median"
    assert spread([6.0, 1.0, 5.0, 2.0, 4.0, 3.0]) == [1.0, 6.0, 2.0, 5.0]
    found = spread([float(n) for n in range(1, 26)])
    assert found[:2] == [8.0, 18.0], "Conover's table: of 25 the 8th and the 18th"
    assert spread([]) is None

"""An endpoint that is still loading when it is first asked: not ready is not the same as not able."""

import asyncio

import pytest

from creuset.core.errors import EngineError
from creuset.evals.clients.http import CallSettings
from creuset.evals.clients.open import open_endpoint
from tests.evals.scripted import Scripted

REPLY = {"choices": [{"message": {"content": "Hi"}, "text": "Hi", "finish_reason": "stop"}]}
BUSY = (503, {"error": {"message": "the engine is loading the model"}}, {"retry-after": "0"})


def opened(answer, retries):
    async def go():
        async def asleep(seconds):
            return None

        calling = CallSettings(retries=retries, timeout_s=5)
        subject = await open_endpoint(server.url, model="m", calling=calling, sleep=asleep)
        await subject.close()
        return subject

    with Scripted(answer) as server:
        return asyncio.run(go())


@pytest.mark.parametrize("busy", ["/v1/chat/completions", "/v1/completions"])
def test_what_is_busy_after_all_retries_is_an_error_and_not_an_inability(busy):
    with pytest.raises(EngineError, match=r"could not be asked for a (chat|completion): http_503: .*loading"):
        opened(lambda path, body, number: BUSY if path == busy else (200, REPLY), retries=1)


def test_what_is_busy_only_at_first_is_able():
    subject = opened(lambda path, body, number: BUSY if number < 3 else (200, REPLY), retries=4)
    assert "chat" in subject.abilities


def test_what_is_refused_is_an_inability():
    refuse = (404, {"error": {"message": "no such route"}})
    subject = opened(lambda path, body, number: refuse if path == "/v1/chat/completions" else (200, REPLY), retries=1)
    assert "chat" not in subject.abilities and "no such route" in subject.why_not["chat"]

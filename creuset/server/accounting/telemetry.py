"""Spans and a histogram of requests to models, by OpenTelemetry's names for generative AI, as OTLP in JSON over HTTP.

Off unless the standard variable OTEL_EXPORTER_OTLP_ENDPOINT names a collector. What was said is never in them: only the
operation, the model, the status, times and energy. A collector that is away, or slow, costs nothing but what it would
have heard: the queue is bounded.
"""

import asyncio
import os
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from secrets import token_hex
from typing import Any

from creuset import __version__
from creuset.server.middleware import RequestContext

EVERY_S = 5.0
MOST = 2000  # spans that wait
BOUNDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)  # of the convention
OPERATIONS = {
    "/v1/chat/completions": "chat", "/v1/responses": "chat", "/v1/messages": "chat",
    "/v1/completions": "text_completion", "/v1/embeddings": "embeddings",
}  # fmt: skip


class Telemetry:
    def __init__(self, endpoint: str, *, clock: Callable[[], float] = time.time) -> None:
        self._endpoint, self._clock = endpoint.rstrip("/"), clock
        self._spans: deque[dict[str, Any]] = deque(maxlen=MOST)
        self._counts: dict[tuple[str, str, str], list[float]] = {}  # operation, model, error: buckets, sum
        self._since = self._nanos()
        self._task: asyncio.Task[None] | None = None

    @classmethod
    def from_environment(cls) -> "Telemetry | None":
        endpoint = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "")
        return cls(endpoint) if endpoint else None

    def note(self, context: RequestContext, model: str, status: int, seconds: float) -> None:
        operation = OPERATIONS.get(context.route)
        if operation is None:
            return
        error = str(status) if status >= 400 else ""
        end = self._nanos()
        told: dict[str, Any] = {
            "gen_ai.operation.name": operation, "gen_ai.provider.name": "creuset", "gen_ai.request.model": model,
            "gen_ai.response.id": context.facts.get("reply"), "http.response.status_code": status,
            "error.type": error or None, "creuset.energy.joules": context.facts.get("joules"),
            "creuset.request.id": context.id,
        }  # fmt: skip
        self._spans.append({
            "traceId": token_hex(16), "spanId": token_hex(8), "name": f"{operation} {model}".strip(), "kind": 2,
            "startTimeUnixNano": str(end - int(seconds * 1e9)), "endTimeUnixNano": str(end),
            "attributes": _attributes(told), "status": {"code": 2 if status >= 500 else 0},
        })  # fmt: skip
        counts = self._counts.setdefault((operation, model, error), [0] * (len(BOUNDS) + 2))
        counts[sum(seconds > bound for bound in BOUNDS)] += 1
        counts[-1] += seconds

    def spans(self) -> dict[str, Any]:
        """An ExportTraceServiceRequest with all spans that wait."""
        some = [self._spans.popleft() for _ in range(len(self._spans))]
        return {"resourceSpans": [{"resource": _RESOURCE, "scopeSpans": [{"scope": _SCOPE, "spans": some}]}]}

    def metrics(self) -> dict[str, Any]:
        """An ExportMetricsServiceRequest: gen_ai.server.request.duration, cumulative."""
        points = []
        for (operation, model, error), counts in self._counts.items():
            told = {"gen_ai.operation.name": operation, "gen_ai.provider.name": "creuset",
                    "gen_ai.request.model": model, "error.type": error or None}  # fmt: skip
            points.append({
                "attributes": _attributes(told), "startTimeUnixNano": str(self._since),
                "timeUnixNano": str(self._nanos()), "count": str(int(sum(counts[:-1]))), "sum": counts[-1],
                "bucketCounts": [str(int(one)) for one in counts[:-1]], "explicitBounds": list(BOUNDS),
            })  # fmt: skip
        histogram = {"aggregationTemporality": 2, "dataPoints": points}
        metric = {"name": "gen_ai.server.request.duration", "unit": "s", "histogram": histogram}
        return {"resourceMetrics": [{"resource": _RESOURCE, "scopeMetrics": [{"scope": _SCOPE, "metrics": [metric]}]}]}

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Send what waits, if the collector takes it soon."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            with suppress(Exception):
                async with asyncio.timeout(2):
                    await self._send()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            with suppress(Exception):
                await self._send()

    async def _send(self) -> None:
        import httpx

        if not self._spans:
            return
        async with httpx.AsyncClient(timeout=5) as client:
            await client.post(f"{self._endpoint}/v1/traces", json=self.spans())
            await client.post(f"{self._endpoint}/v1/metrics", json=self.metrics())

    def _nanos(self) -> int:
        return int(self._clock() * 1e9)


def _attributes(told: dict[str, Any]) -> list[dict[str, Any]]:
    kinds: dict[type, str] = {str: "stringValue", int: "intValue", float: "doubleValue"}
    found = []
    for name, value in told.items():
        if value not in (None, ""):
            kind = kinds[type(value)]
            found.append({"key": name, "value": {kind: str(value) if kind == "intValue" else value}})
    return found


_RESOURCE = {"attributes": _attributes({"service.name": "creuset", "service.version": __version__})}
_SCOPE = {"name": "creuset.server", "version": __version__}

"""A batch as it is kept, and as OpenAI's schema tells it."""

from typing import Any

import msgspec

ENDED = ("failed", "completed", "expired", "cancelled")
WINDOW_S = 24 * 3600


class BatchFault(msgspec.Struct, omit_defaults=True):
    """Why a batch could not begin, or not go on. `line` counts from 1."""

    code: str
    message: str
    line: int | None = None
    param: str | None = None


class BatchRecord(msgspec.Struct, kw_only=True, omit_defaults=True):
    id: str
    owner: str = ""
    organization: str = ""
    project: str = ""
    key: str = ""
    created_at: int
    endpoint: str
    input_file_id: str
    expires_at: int
    metadata: dict[str, str] | None = None
    output_seconds: int | None = None  # after which its files expire
    dry_run: bool = False
    status: str = "validating"
    ending: str = ""  # how it ends before all lines are answered: expired, cancelled, failed
    model: str | None = None
    errors: list[BatchFault] = []
    output_file_id: str | None = None
    error_file_id: str | None = None
    in_progress_at: int | None = None
    finalizing_at: int | None = None
    completed_at: int | None = None
    failed_at: int | None = None
    expired_at: int | None = None
    cancelling_at: int | None = None
    cancelled_at: int | None = None

    @property
    def over(self) -> bool:
        return self.status in ENDED


class BatchTally(msgspec.Struct, frozen=True):
    """Sums over the lines of a batch."""

    total: int = 0
    completed: int = 0
    failed: int = 0
    input: int = 0
    cached: int = 0
    output: int = 0
    reasoning: int = 0
    least: int = 0
    most: int = 0
    currency: str = ""


TIMES = ("in_progress_at", "finalizing_at", "completed_at", "failed_at", "expired_at", "cancelling_at", "cancelled_at")


def batch_json(batch: BatchRecord, tally: BatchTally) -> dict[str, Any]:
    """OpenAI's object. A dry run has `estimate` beside it: what the batch would cost, and `usage` is what it reads and
    what it writes at most."""
    faults = [{"code": one.code, "message": one.message, "line": one.line, "param": one.param} for one in batch.errors]
    found: dict[str, Any] = {
        "id": batch.id, "object": "batch", "endpoint": batch.endpoint, "completion_window": "24h",
        "model": batch.model, "errors": {"object": "list", "data": faults} if faults else None,
        "input_file_id": batch.input_file_id, "status": batch.status, "output_file_id": batch.output_file_id,
        "error_file_id": batch.error_file_id, "created_at": batch.created_at, "expires_at": batch.expires_at,
        "request_counts": {"total": tally.total, "completed": tally.completed, "failed": tally.failed},
        "usage": {
            "input_tokens": tally.input, "input_tokens_details": {"cached_tokens": tally.cached},
            "output_tokens": tally.output, "output_tokens_details": {"reasoning_tokens": tally.reasoning},
            "total_tokens": tally.input + tally.output,
        },
        "metadata": batch.metadata,
    } | {name: getattr(batch, name) for name in TIMES}  # fmt: skip
    if batch.dry_run:
        money = {"least": tally.least / 1e6, "most": tally.most / 1e6, "currency": tally.currency.lower() or None}
        found |= {"dry_run": True, "estimate": {"cost": money, "input_tokens": tally.input,
                                                "output_tokens_at_most": tally.output}}  # fmt: skip
    return found

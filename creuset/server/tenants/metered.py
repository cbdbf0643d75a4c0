"""What was used, told to the hold of a request: by the events of our engines, or by what another server says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from creuset.core.errors import RequestError
from creuset.server.tenants.gate import NOTHING_HELD, Hold
from creuset.types.generation import Event
from creuset.types.usage import TokenUsage

UNSAID = 4096  # tokens that a reply is thought to have at most, where neither the client nor its model says so
BYTES_A_TOKEN = 4  # of a request, roughly, where tokens were not told

__all__ = ["BYTES_A_TOKEN", "NOTHING_HELD", "UNSAID", "GenerationMeter", "charge_told"]


@dataclass(slots=True)
class GenerationMeter:
    """Counts what the requests of one generation used, and settles when the last has ended.

    `prompts`: tokens of each request's prompt; each run of `choices` of them shares one, which is read once. A client
    that left before a word was written owes nothing.
    """

    hold: Hold
    prompts: Sequence[int]
    choices: int
    left: int = field(init=False)
    input: int = 0
    cached: int = 0
    output: int = 0
    reasoning: int = 0
    status: str = "completed"
    error: str = ""

    def __post_init__(self) -> None:
        self.left = len(self.prompts)

    def ended(self, index: int, last: Event | Exception) -> None:
        """Request `index` ended by its last event, or by an error."""
        self.left -= 1
        if isinstance(last, Exception):
            self.error = "refused" if isinstance(last, RequestError) else "lost"
        elif last.finish == "error":
            self.error = "refused" if last.param is not None else "failed"
        else:
            if last.finish == "cancelled":
                self.status = "cancelled"
            self.output += last.completion_tokens
            self.reasoning += last.reasoning_tokens
            if index % self.choices == 0:
                self.input += self.prompts[index]
                self.cached += last.cached_tokens
        if not self.left:
            self._close()

    def _close(self) -> None:
        if self.error or (self.status == "cancelled" and not self.output):
            self.hold.release(self.error or self.status)
            return
        cached = min(self.cached, self.input)
        usage = TokenUsage(
            input=self.input, output=self.output, cached=cached, reasoning=min(self.reasoning, self.output)
        )
        self.hold.settle(usage, status=self.status)


def charge_told(
    hold: Hold, told: Mapping[str, int], *, pieces: int, size: int, reason: str, tier: str | None = None
) -> None:
    """Charge a reply of another server by what it `told` of its tokens.

    Of a reply that the client left before they were told, `pieces` were written for a request of `size` bytes: that is
    charged, as an estimate. A reply that ended in an error is free.
    """
    status = "cancelled" if reason == "cancelled" else "completed"
    if reason in ("error", "refused", "lost"):
        hold.release(reason)
    elif "prompt_tokens" in told:
        read, written = told["prompt_tokens"], told.get("completion_tokens", 0)
        cached, thought = min(told.get("cached_tokens", 0), read), min(told.get("reasoning_tokens", 0), written)
        hold.settle(TokenUsage(input=read, output=written, cached=cached, reasoning=thought), status=status, tier=tier)
    elif pieces:
        usage = TokenUsage(input=-(-size // BYTES_A_TOKEN), output=pieces)
        hold.settle(usage, status=status, estimated=True, tier=tier)
    else:
        hold.release(status)

"""What an endpoint refuses of a request: it is left out or said otherwise, asked once more, and told. No torch.

Models that think take no temperature, newer ones have another name for the limit of a reply, some servers only stream.
A refusal that names such a thing is answered by asking again without it; what then succeeds is remembered for the
requests that follow. Each reply says what it was asked without.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from creuset.evals.clients.http import HttpReply, Json
from creuset.evals.model import Failure

# What a reply can do without. A limit of tokens and stop strings are then applied to the text, as far as can be.
LEAVABLE = (
    "temperature", "top_p", "seed", "stop", "stop_sequences", "stream_options", "max_tokens", "max_completion_tokens",
)  # fmt: skip
REFUSES = re.compile(
    r"unsupported|not (?:currently )?support|unrecogni[sz]ed|unknown|unexpected|not (?:allowed|permitted|available"
    r"|accepted|recognized)|extra|deprecated|only the default|cannot|no longer|not a (?:valid )?(?:field|parameter)"
    r"|invalid (?:param|arg|field)|does(?:n't| not) accept|must be (?:omitted|unset)"
)
NEW_LIMIT, OLD_LIMIT = "max_completion_tokens", "max_tokens"
STREAM_ONLY = re.compile(r"\bstream\b.*(?:only|must|require|true)|(?:only|must|require).*\bstream", re.DOTALL)

Post = Callable[[Json], Awaitable[HttpReply | Failure]]


@dataclass(slots=True)
class Adaptation:
    """What one endpoint has to be asked without, found out on the way."""

    left_out: dict[str, str] = field(default_factory=dict)  # parameter: the endpoint's words
    streams: bool = False  # it answers streams only
    new_limit: bool = False  # `max_completion_tokens`, not `max_tokens`

    async def send(self, body: Json, post: Post) -> HttpReply | Failure:
        """`post(body)`, changed until nothing in it is refused that can be left out."""
        tried = Adaptation(dict(self.left_out), self.streams, self.new_limit)
        sent = tried.applied(body)
        while True:
            answer = await post(sent)
            if not isinstance(answer, Failure):
                self.left_out |= tried.left_out
                self.streams, self.new_limit = self.streams or tried.streams, self.new_limit or tried.new_limit
                if without := [name for name in tried.left_out if name in body or (name == NEW_LIMIT)]:
                    words = tried.left_out[without[0]]
                    answer.warnings.append(f"parameter_dropped: {', '.join(without)} ({words})")
                return answer
            if not tried.learn(answer, sent):
                return answer
            sent = tried.applied(body)

    def applied(self, body: Json) -> Json:
        """`body` as this endpoint takes it."""
        found = dict(body)
        if self.new_limit and OLD_LIMIT in found:
            found[NEW_LIMIT] = found.pop(OLD_LIMIT)
        if self.streams and "stream" not in found:
            found |= {"stream": True, "stream_options": {"include_usage": True}}
        return {name: value for name, value in found.items() if name not in self.left_out}

    def learn(self, failure: Failure, sent: Json) -> bool:
        """Take note of what `failure` refuses of the body that was sent; False: nothing that could be changed."""
        if failure.reason not in ("refused_400", "refused_422"):
            return False
        said = failure.detail.lower()
        if NEW_LIMIT in said and OLD_LIMIT in sent:
            self.new_limit = True
            return True
        if not sent.get("stream") and STREAM_ONLY.search(said):
            self.streams = True
            return True
        named = {name: at.start() for name in LEAVABLE if name in sent and (at := _mention(name, said))}
        if not named or not REFUSES.search(said):
            return False
        name = min(named, key=lambda name: (f"[{name}]" not in said, named[name]))
        self.left_out[name] = failure.detail[:200]
        return True


def _mention(name: str, said: str) -> "re.Match[str] | None":
    return re.search(rf"(?<![\w.]){name}(?!\w)", said)

"""One guard at work: on texts before the model, and on the text of an answer while it comes.

Whatever goes wrong in a guard is a refusal that says so: nothing passes a guard that could not look at it.
"""

import os
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from creuset.core.errors import RequestError
from creuset.server.protect.guards.masking import StreamMasker
from creuset.server.protect.guards.plain import folded, folded_places, mask_parts
from creuset.server.protect.guards.settings import GuardSettings, Stage

MOST_REPLY = 8 << 20  # bytes of a hook's reply


class GuardRefused(RequestError):
    """A guard does not let this text pass."""

    code = "content_policy_violation"


class GuardFailed(RequestError):
    """A guard could not look at the text."""

    status = 503
    code = "guard_unavailable"
    kind = "server_error"


@dataclass(frozen=True, slots=True)
class GuardScene:
    """What a hook is told of the request beside its texts. Ids only."""

    request: str = ""
    organization: str = ""
    project: str = ""
    model: str = ""
    tls: "ssl.SSLContext | None" = None


class TextFilter(Protocol):
    """One text of an answer, on its way: what `push` and `finish` return, joined, is what the client gets of it."""

    async def push(self, text: str) -> str: ...
    async def finish(self) -> str: ...


def refuse_kinds(guard: GuardSettings, kinds: set[str], stage: Stage) -> None:
    if kinds and guard.action == "refuse":
        where = "the request" if stage == "before" else "the answer"
        raise GuardRefused(f"the guard `{guard.told}` refuses {where}: it holds {', '.join(sorted(kinds))}")


async def before(guard: GuardSettings, texts: Sequence[str], scene: GuardScene) -> list[str]:
    """The texts of a request as they may go on. GuardRefused, GuardFailed."""
    if guard.kind == "mask":
        return [joined(guard, [text])[0] for text in texts]
    if guard.kind == "deny":
        for text in texts:
            refuse_words(guard, text, "before")
        return list(texts)
    return await ask(guard, "before", texts, scene)


def joined(guard: GuardSettings, parts: list[str]) -> list[str]:
    """The parts of one text of a request, looked at as one. An `http` guard gets each for itself. GuardRefused."""
    if guard.kind == "mask":
        parts, kinds = mask_parts(parts, guard.kinds)
        refuse_kinds(guard, kinds, "before")
    elif guard.kind == "deny":
        for joint in ("", " ") if len(parts) > 1 else ("",):
            refuse_words(guard, joint.join(parts), "before")
    return parts


def after(guard: GuardSettings, scene: GuardScene) -> TextFilter:
    """What a text of an answer goes through."""
    if guard.kind == "mask":
        return _MaskFilter(guard, StreamMasker(guard.kinds))
    return _DenyFilter(guard) if guard.kind == "deny" else _HookFilter(guard, scene)


def refuse_words(guard: GuardSettings, text: str, stage: Stage) -> None:
    low = folded(text)
    if any(_word(word) in low for word in guard.words):
        where = "the request" if stage == "before" else "the answer"
        raise GuardRefused(f"the guard `{guard.told}` refuses {where}: it holds a word that is not allowed here")


def _word(word: str) -> str:
    """As it is looked for; a word of hyphens or marks alone stays as it is."""
    return folded(word).strip() or word.lower()


@dataclass(slots=True)
class _MaskFilter:
    guard: GuardSettings
    masker: StreamMasker

    async def push(self, text: str) -> str:
        return self._passed(self.masker.push(text))

    async def finish(self) -> str:
        return self._passed(self.masker.finish())

    def _passed(self, text: str) -> str:
        refuse_kinds(self.guard, self.masker.found, "after")
        return text


@dataclass(slots=True)
class _DenyFilter:
    """Holds back as much as the longest word needs."""

    guard: GuardSettings
    text: str = ""

    async def push(self, text: str) -> str:
        self.text += text
        refuse_words(self.guard, self.text, "after")
        keep = max(len(_word(word)) for word in self.guard.words) - 1
        low, at = folded_places(self.text)
        cut = 0 if len(low) <= keep else at[len(low) - keep] if keep else len(self.text)
        out, self.text = self.text[:cut], self.text[cut:]
        return out

    async def finish(self) -> str:
        out, self.text = self.text, ""
        return out


@dataclass(slots=True)
class _HookFilter:
    """A program elsewhere judges a text as a whole, so all of it is held back."""

    guard: GuardSettings
    scene: GuardScene
    text: str = ""

    async def push(self, text: str) -> str:
        self.text += text
        return ""

    async def finish(self) -> str:
        out, self.text = self.text, ""
        return (await ask(self.guard, "after", [out], self.scene))[0] if out else ""


async def ask(guard: GuardSettings, stage: Stage, texts: Sequence[str], scene: GuardScene) -> list[str]:
    """What the program at the guard's address says of `texts`, within its deadline.

    It gets {"stage", "request", "organization", "project", "model", "texts"} and answers {"action": "allow"},
    {"action": "replace", "texts": [...]}, or {"action": "refuse", "reason": "..."}. Anything else is a refusal.
    """
    import httpx

    if not texts:
        return []
    body = {
        "stage": stage, "request": scene.request, "organization": scene.organization, "project": scene.project,
        "model": scene.model, "texts": list(texts),
    }  # fmt: skip
    headers = {}
    if guard.key_env:
        key = os.environ.get(guard.key_env, "")
        if not key:
            raise GuardFailed(f"the guard `{guard.told}` has no key: `{guard.key_env}` is not set; nothing passes it")
        headers["authorization"] = f"Bearer {key}"
    try:
        timeout = httpx.Timeout(guard.deadline_ms / 1000)
        async with httpx.AsyncClient(timeout=timeout, follow_redirects=False, trust_env=False,
                                     verify=True if scene.tls is None else scene.tls) as client:  # fmt: skip
            said = await _within(client, guard, body, headers)
    except TimeoutError:
        raise _failed(guard, f"did not answer within {guard.deadline_ms} ms") from None
    except GuardFailed:
        raise
    except Exception as error:  # whatever it is, nothing passes
        raise _failed(guard, f"cannot be asked ({type(error).__name__})") from None
    return _judged(guard, said, texts)


async def _within(client: Any, guard: GuardSettings, body: Any, headers: dict[str, str]) -> Any:
    import asyncio

    async with asyncio.timeout(guard.deadline_ms / 1000):
        async with client.stream("POST", guard.url, json=body, headers=headers) as response:
            raw = b""
            async for piece in response.aiter_bytes():
                raw += piece
                if len(raw) > MOST_REPLY:
                    raise _failed(guard, f"answered more than {MOST_REPLY} bytes")
            if response.status_code != 200:
                raise _failed(guard, f"answered {response.status_code}")
    import msgspec

    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _failed(guard, "answered what is no JSON") from None


def _judged(guard: GuardSettings, said: Any, texts: Sequence[str]) -> list[str]:
    action = said.get("action") if isinstance(said, dict) else None
    if action == "allow":
        return list(texts)
    if action == "refuse":
        reason = said.get("reason")
        words = f": {reason[:500]}" if isinstance(reason, str) and reason else ""
        raise GuardRefused(f"the guard `{guard.told}` refuses this{words}")
    new = said.get("texts") if action == "replace" else None
    if isinstance(new, list) and len(new) == len(texts) and all(isinstance(one, str) for one in new):
        return new
    raise _failed(guard, "answered neither allow, replace with as many texts, nor refuse")


def _failed(guard: GuardSettings, what: str) -> GuardFailed:
    return GuardFailed(f"the guard `{guard.told}` {what}, so nothing passes it", retry_after=1.0)

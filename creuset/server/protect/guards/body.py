"""Guards on the body of a request, where it is no chat: prompts, texts to embed, items to keep, calls that go through.

Also what belongs to one HTTP request: its chain of guards, made when it is first needed.
"""

from typing import TYPE_CHECKING, Any

from creuset.server.protect.guards.chain import GuardChain, guards_of, refuse_tokens
from creuset.server.protect.guards.hooks import GuardScene
from creuset.server.protect.guards.relay import RelayGuard

if TYPE_CHECKING:
    from creuset.server.middleware import RequestContext
    from creuset.server.protect.protection import Protection

TEXTS = ("messages", "prompt", "suffix", "input", "instructions", "query", "documents", "items", "tools")
TOKENS = ("prompt", "input")  # which may be lists of tokens


def chain_of(protection: "Protection | None", context: "RequestContext") -> GuardChain:
    if context.guards is None:
        who = context.who
        scene = GuardScene(
            request=context.id, organization="" if who is None else who.organization,
            project="" if who is None else who.project, model=str(context.facts.get("model", "")),
            tls=None if protection is None else protection.tls,
        )  # fmt: skip
        context.guards = GuardChain(guards_of(() if protection is None else protection.guards, who), scene)
    found: GuardChain = context.guards
    return found


async def guard_body(
    protection: "Protection | None",
    context: "RequestContext",
    body: dict[str, Any],
    *,
    answered: bool = False,
    relayed: bool = False,
) -> dict[str, Any]:
    """`body` with each text as the model may read it. `answered`: its answer is text, and may have to be guarded.
    `relayed`: all of it goes on to another server.

    Raises GuardRefused, GuardFailed; also for tokens in the place of a text.
    """
    chain = chain_of(protection, context)
    if not chain.guards:
        return body
    for name in TOKENS:
        if _has_numbers(body.get(name)):
            raise refuse_tokens(name)
    if answered and chain.changes_answers:
        for name in ("logprobs", "top_logprobs", "prompt_logprobs", "return_token_ids"):
            if body.get(name) not in (None, False):
                raise refuse_tokens(name)
    if relayed:
        return await chain.relayed(body)
    return body | {name: await chain.json(body[name]) for name in TEXTS if body.get(name) is not None}


def guard_parts(
    protection: "Protection | None", context: "RequestContext", body: dict[str, Any]
) -> dict[str, Any]:  # fmt: skip
    """`body` of a chat with what goes on from one text part into the next guarded before they are joined."""
    guards = guards_of(() if protection is None else protection.guards, context.who)
    return GuardChain(guards, GuardScene()).parts(body) if guards else body


def relay_guard(protection: "Protection | None", context: "RequestContext") -> RelayGuard | None:
    """What looks at an answer of another server that goes through as it is; None: nothing does."""
    chain = chain_of(protection, context)
    return RelayGuard(chain) if chain.changes_answers else None


def _has_numbers(value: Any) -> bool:
    """Whether a list, or a list in it, has numbers."""
    if not isinstance(value, list):
        return False
    return any(isinstance(one, int) or _has_numbers(one) for one in value)

"""Who computes what in the next step, and who holds which blocks meanwhile.

`plan_step` decides purely; `Scheduler` owns the life of every request that was accepted: waiting ->
running -> gone. A request is admitted when the blocks of all its tokens so far are there; while it
decodes it asks for one block at a time, and when there is none the youngest running request gives
its blocks back and waits again at the front (preemption). Nothing is lost by that: its tokens stay,
only their keys and values are computed again, and what the prefix cache kept of them is not.

Requests that wait take turns by class, weight and age (types/fair_queue.py); of one class, first come, first served.
The oldest request is never preempted, and none is accepted that would not fit alone: so there is progress.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from creuset.engine.blocks import BlockPool
from creuset.engine.pace import Pace
from creuset.engine.prefix import PrefixCache, chain
from creuset.types.fair_queue import FairQueue
from creuset.types.generation import GenerationRequest


@dataclass(frozen=True, slots=True)
class PendingTokens:
    """What a request still needs, as the planner sees it."""

    id: str
    pending: int  # tokens whose keys and values are not in the cache; 1 means it is decoding


class StepPlan(NamedTuple):
    decode: tuple[str, ...]  # request ids, one token each
    prefill: tuple[tuple[str, int], ...]  # (request id, number of tokens)

    @property
    def tokens(self) -> int:
        return len(self.decode) + sum(count for _, count in self.prefill)


def plan_step(asks: list[PendingTokens], *, budget: int, chunk: int | None = None) -> StepPlan:
    """Fill one step of at most `budget` tokens, of which at most `chunk` are read beside requests that decode.

    Decoding comes first, so that nobody's stream stalls behind a long prompt. Of what is left the oldest prompt gets
    half, the others get the rest, short ones first: so a short prompt does not wait for a long one, and a long one
    always gets on. What nobody else needs is the oldest's too. A prompt is cut where its share ends (chunked).
    The caller admits no more requests than `budget`, or some would never decode.
    """
    assert len(asks) <= budget, f"{len(asks)} requests share a budget of {budget} tokens"
    decode = tuple(ask.id for ask in asks if ask.pending == 1)
    left = budget - len(decode)
    if decode and chunk is not None:
        left = min(left, chunk)
    prompts = [ask for ask in asks if ask.pending > 1]
    shares = dict.fromkeys((ask.id for ask in prompts), 0)
    turns = [(ask, ask.pending) for ask in sorted(prompts[1:], key=lambda ask: ask.pending)]
    if prompts:
        turns = [(prompts[0], -(-left // 2)), *turns, (prompts[0], left)]
    for ask, most in turns:
        share = min(ask.pending - shares[ask.id], most, left)
        shares[ask.id] += share
        left -= share
    return StepPlan(decode, tuple((id, share) for id, share in shares.items() if share))


@dataclass(slots=True, eq=False)
class Sequence:
    """A request on its way. Only the scheduler writes here, but for `tokens`, which the engine appends to."""

    request: GenerationRequest
    serial: int  # order of arrival
    tokens: list[int]  # prompt, then answer
    computed: int = 0  # of `tokens`, whose keys and values are in `blocks`
    blocks: list[int] = field(default_factory=list)
    hashes: list[bytes] = field(default_factory=list)  # of the full blocks of `tokens`
    known: int = 0  # blocks the prefix cache was told of
    beyond: bool = False  # it has more tokens than the border
    cached: int | None = None  # prompt tokens found in the prefix cache at first admission

    @property
    def id(self) -> str:
        return self.request.id

    @property
    def prompt_tokens(self) -> int:
        return len(self.request.prompt)

    @property
    def pending(self) -> int:
        return len(self.tokens) - self.computed


class Scheduler:
    def __init__(
        self,
        pool: BlockPool,
        cache: PrefixCache | None,
        *,
        block_size: int,
        max_running: int,
        max_batch_tokens: int,
        border: int | None = None,
    ) -> None:
        """`border`: a request that grows beyond so many tokens is computed anew from its first token on (LongRoPE).
        None: there is no such number."""
        self.pool, self.cache = pool, cache
        self.block_size, self.max_running, self.max_batch_tokens = block_size, max_running, max_batch_tokens
        self.border = border
        self.pace = Pace(max_batch_tokens)
        self.version = ""  # of the weights: what others computed is not read
        self.waiting: FairQueue[Sequence] = FairQueue()
        self.running: list[Sequence] = []  # in order of arrival
        self.preemptions = 0
        self._serial = 0

    def blocks_for(self, tokens: int) -> int:
        return -(-tokens // self.block_size)

    def add(self, request: GenerationRequest) -> Sequence:
        sequence = self.accept(request)
        self.enqueue(sequence)
        return sequence

    def accept(self, request: GenerationRequest) -> Sequence:
        """Give `request` its place in the order of arrival. It waits for its turn from `enqueue` on."""
        self._serial += 1
        return Sequence(request, self._serial, list(request.prompt))

    def enqueue(self, sequence: Sequence) -> None:
        self.waiting.append(sequence, sequence.request.tier)

    def remove(self, sequence: Sequence, *, tainted: bool = False) -> list[int]:
        """Forget a request that ended and give its blocks back.

        With `tainted` the content of its blocks is not to be reused; those that it wrote are returned, to be wiped.
        """
        if sequence in self.waiting:
            self.waiting.remove(sequence)
            return []
        self.running.remove(sequence)
        written: list[int] = []
        if tainted:
            if self.cache is not None:
                self.cache.forget(sequence.blocks)
            written = [block for block in sequence.blocks if self.pool.readers(block) == 1]
        self._give_back(sequence)
        return written

    def schedule(self) -> StepPlan:
        """Admit, make room for the next tokens, and plan one step."""
        if self.border is not None:
            self._cross()
        self._grow()
        if self.waiting:
            self._admit()
        decode = [one.request.id for one in self.running if len(one.tokens) - one.computed == 1]
        if len(decode) == len(self.running):  # as most steps are
            return StepPlan(tuple(decode), ())
        asks = [PendingTokens(sequence.id, sequence.pending) for sequence in self.running]
        chunk = self.pace.chunk(len(decode)) if decode else None
        return plan_step(asks, budget=self.max_batch_tokens, chunk=chunk)

    def reserve(self, sequence: Sequence, count: int) -> int:
        """Blocks for up to `count` tokens behind those of `sequence`, of the free ones: nobody gives any up for a
        draft. Returns for how many tokens there is room."""
        while self.blocks_for(len(sequence.tokens) + count) > len(sequence.blocks):
            if (blocks := self.pool.take(1, after=sequence.blocks[-1])) is None:
                break
            sequence.blocks += blocks
        return min(count, len(sequence.blocks) * self.block_size - len(sequence.tokens))

    def advance(self, sequence: Sequence, count: int) -> None:
        """`count` more tokens of `sequence` are in the cache. Its full blocks may now be shared."""
        sequence.computed += count
        full = sequence.computed // self.block_size
        if self.cache is not None and full > sequence.known:
            self._hash(sequence)
            # The whole chain, not the new end only: that keeps a block younger than those that continue it.
            self.cache.insert(sequence.hashes[:full], sequence.blocks[:full])
            sequence.known = full

    def check(self) -> None:
        """Free + held = all, and every holder is known."""
        holders = [sequence.blocks for sequence in self.running]
        if self.cache is not None:
            holders.append(self.cache.blocks)
        self.pool.check(holders)
        assert not any(sequence.blocks for sequence in self.waiting), "a waiting request holds blocks"

    def _hash(self, sequence: Sequence) -> None:
        if (len(sequence.hashes) + 1) * self.block_size <= len(sequence.tokens):
            # Beyond the border the same tokens have other keys and values.
            salt = repr((sequence.request.salt, sequence.request.adapter, self._beyond(sequence), self.version))
            sequence.hashes = chain(sequence.tokens, self.block_size, salt=salt, parents=sequence.hashes)

    def _beyond(self, sequence: Sequence) -> bool:
        return self.border is not None and len(sequence.tokens) > self.border

    def _cross(self) -> None:
        """Requests that have just grown beyond the border wait to be computed anew, in their order of arrival."""
        if self.border is None:
            return
        for sequence in reversed(self.running.copy()):
            if self._beyond(sequence) and not sequence.beyond and sequence.computed:
                self.running.remove(sequence)
                self._give_back(sequence)
                self.waiting.appendleft(sequence)
        for sequence in (*self.running, *self.waiting):
            if self._beyond(sequence) and not sequence.beyond:
                sequence.beyond, sequence.hashes = True, []

    def _grow(self) -> None:
        """Each decoding request gets a slot for its newest token, or is preempted for an older one."""
        size = self.block_size
        for sequence in self.running.copy():
            while len(sequence.tokens) > size * len(sequence.blocks) and sequence.blocks:
                if (blocks := self._take(1, after=sequence.blocks[-1])) is not None:
                    sequence.blocks += blocks
                else:
                    self._preempt(self.running[-1])  # may be `sequence` itself: then it has no blocks left

    def _preempt(self, victim: Sequence) -> None:
        self.running.remove(victim)
        self._give_back(victim)
        self.waiting.appendleft(victim)
        self.preemptions += 1

    def _give_back(self, sequence: Sequence) -> None:
        self.pool.release(sequence.blocks)
        sequence.blocks, sequence.computed, sequence.known = [], 0, 0

    def _admit(self) -> None:
        for sequence in list(self.waiting):
            if len(self.running) >= self.max_running:
                return
            found: list[int] = []
            if self.cache is not None and not sequence.request.reads_all:
                self._hash(sequence)
                # The last token is always computed: its logits are wanted.
                usable = sequence.hashes[: (len(sequence.tokens) - 1) // self.block_size]
                found = self.cache.match(usable)
                if len(found) < len(usable) and usable[len(found)] in self._in_flight():
                    # Someone is computing this very block now: reading it soon is cheaper than computing it too.
                    # Those behind do not wait for that.
                    self.pool.release(found)
                    continue
            need = self.blocks_for(len(sequence.tokens)) - len(found)
            # Whoever runs will soon want one more block each: without them one would be preempted again at once.
            there = need + len(self.running) <= self.pool.free + self.pool.idle
            if not there or (fresh := self._take(need, after=found[-1] if found else None)) is None:
                self.pool.release(found)
                assert self.running, f"request {sequence.id} fits alone, yet {need} blocks cannot be had"
                return
            self.waiting.serve(sequence)
            sequence.blocks = found + fresh
            sequence.computed = len(found) * self.block_size
            sequence.known = len(found)
            if sequence.cached is None:
                sequence.cached = min(sequence.computed, sequence.prompt_tokens)
            self.running.append(sequence)
            self.running.sort(key=lambda one: one.serial)

    def _in_flight(self) -> set[bytes]:
        """Hashes of blocks that running requests are about to compute."""
        return {digest for one in self.running for digest in one.hashes[one.known :]}

    def _take(self, count: int, *, after: int | None) -> list[int] | None:
        if self.cache is not None and count > self.pool.free:
            self.cache.evict(count - self.pool.free)
        return self.pool.take(count, after=after)

"""A hundred steps of everything at once, the same every time: requests of all kinds come, leave, are preempted and
drafted for, and forward passes fail. Who ends by himself gets the answer that he gets alone. Over HTTP, with engines
that are killed: tests/slow/test_soak_http.py."""

import random

import msgspec

from tests.engine.support import ask, engine, run, whole

WORDS = ("the river ", "a cat ", "7 days ", "Où est ", "on the mat. ", "the river ")
KINDS = (
    {}, {"temperature": 0.0}, {"stop": ("e", "the")}, {"logprobs": 2}, {"prompt_logprobs": 1},
    {"ignore_eos": True, "temperature": 0.0}, {"repetition_penalty": 1.3}, {"top_p": 0.5}, {"min_p": 0.2, "top_k": 4},
)  # fmt: skip
SETTINGS = {"kv_tokens": 120, "block_size": 4, "max_running": 6, "max_batch_tokens": 24, "speculation": "lookup"}
FAILS = (40, 90)  # steps


def asked(pick, id):
    prompt = "".join(pick.choice(WORDS) for _ in range(pick.choice((1, 3, 12))))
    request = ask(id, prompt, pick.choice((1, 6, 30)), seed=pick.randrange(9), **pick.choice(KINDS))
    return msgspec.structs.replace(request, salt=pick.choice(("", "ann")))


def test_everything_at_once_leaks_nothing_and_ends_each_request_once():
    pick, steps = random.Random(7), iter(range(10_000))
    one = engine(**SETTINGS, clock=lambda: 0.0)
    compute = one._runner.forward

    def forward(batch):
        if next(steps) in FAILS:
            raise MemoryError("no memory")
        compute(batch)

    one._runner.forward = forward
    requests, events = {}, {}

    def step():
        for event in one.step():
            assert not (events[event.id] and events[event.id][-1].finish), "an event after the last"
            events[event.id].append(event)
        one.check()

    for turn in range(110):
        while pick.random() < 0.4 and len(one._live) < 14:
            request = asked(pick, f"{turn}:{len(events)}")
            one.add(request)
            requests[request.id], events[request.id] = request, []
        if one._live and pick.random() < 0.04:
            one.cancel(pick.choice(sorted(one._live)))
        step()
    while one.busy:
        step()
    answers = {id: whole(found) for id, found in events.items()}
    ends, stats = [event.finish for event in answers.values()], one.stats()
    reasons = ("stop", "length", "cancelled", "error")
    assert set(ends) == set(reasons) and len(ends) > 50
    assert {event.error for event in answers.values()} == {None, "the forward pass failed: no memory"}
    assert min(stats["preemptions"], stats["accepted_tokens_total"], stats["cached_tokens_total"]) > 2
    assert [stats[f"finished_{reason}_total"] for reason in reasons] == [ends.count(reason) for reason in reasons]
    assert stats["completion_tokens_total"] == sum(event.completion_tokens for event in answers.values())
    assert stats["prompt_tokens_total"] == sum(len(request.prompt) for request in requests.values())
    one.reset_prefix_cache()
    assert one.stats()["blocks_free"] == one.stats()["blocks"]
    quiet = engine()
    for id in [id for id, event in answers.items() if event.finish in ("stop", "length")][::6]:
        alone = run(quiet, requests[id])[id]
        assert msgspec.structs.replace(alone, cached_tokens=0) == msgspec.structs.replace(answers[id], cached_tokens=0)

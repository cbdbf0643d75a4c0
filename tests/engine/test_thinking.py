"""Thoughts are counted token by token, and closed when their budget is used up, whoever is beside them."""

import random

import msgspec
import pytest
from support import ask, engine, run

from creuset.engine.answer.thinking import ThoughtCounter
from creuset.testing import tiny_tokenizer
from creuset.types.generation import Thinking

OPEN, CLOSE = "<think>", "</think>"
CLOSING = tuple(tiny_tokenizer().encode_special("</think>\n\n"))


def thinking(**more):
    return Thinking(open=OPEN, close=CLOSE, **{"opened": True, "closing": CLOSING} | more)


def thoughtful(id, prompt, max_tokens=24, *, sampling=None, **more):
    return msgspec.structs.replace(ask(id, prompt, max_tokens, **(sampling or {})), thinking=thinking(**more))


def counted(texts, **more):
    counter = ThoughtCounter(thinking(**more))
    for text in texts:
        counter.push(0, text)
    return counter.tokens


def definition(texts, *, opened, repeats):
    """Tokens whose text begins inside a thought, found in the whole text."""
    whole = "".join(texts)
    begins = [sum(map(len, texts[:at])) for at in range(len(texts))]
    spans, at = [], 0
    if not opened and not repeats and not whole.lstrip().startswith(OPEN):
        return 0
    while opened or (at := whole.find(OPEN, at)) >= 0:
        at = 0 if opened else at + len(OPEN)
        end = whole.find(CLOSE, at)
        spans.append((at, end if end >= 0 else len(whole) + 1))
        opened = False
        if end < 0 or not repeats:
            break
        at = end + len(CLOSE)
    return sum(any(a <= begin < b for a, b in spans) for begin in begins)


@pytest.mark.parametrize("opened", [True, False])
@pytest.mark.parametrize("repeats", [True, False])
def test_the_count_is_that_of_the_whole_text(opened, repeats):
    chance = random.Random(1)
    for _ in range(600):
        text = "".join(chance.choices([OPEN, CLOSE, "ab", " ", "</th", "<", "\n", "think>"], k=chance.randrange(9)))
        cuts = sorted(chance.sample(range(1, len(text)), chance.randrange(len(text)))) if text else []
        texts = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        assert counted(texts, opened=opened, repeats=repeats) == definition(texts, opened=opened, repeats=repeats), (
            texts
        )


def test_a_call_at_the_end_of_an_open_thought_is_no_thought():
    marks = {"calls": ("<tool_call>",)}
    assert counted(["a", "b", "<tool", "_call>", "{", "}"], **marks) == 2
    assert counted(["a", "<tool_call>", "x", CLOSE, "y"], **marks) == 3, "the thought went on: it was no call"


def test_a_thought_is_closed_after_its_budget_and_the_answer_goes_on():
    prompt, budget = tiny_tokenizer().encode("What is a river?"), 5
    found = run(engine(), thoughtful("a", prompt, budget=budget, sampling={"temperature": 0}))["a"]
    free = run(engine(), ask("a", prompt, budget, temperature=0))["a"].tokens
    rest = 24 - budget - len(CLOSING)
    after = run(engine(), ask("a", [*prompt, *free, *CLOSING], rest, temperature=0))["a"]
    assert found.tokens == (*free, *CLOSING, *after.tokens)
    assert CLOSE in found.text and found.completion_tokens == 24 and found.finish == "length"


@pytest.mark.parametrize("budget", [0, 1, 5, 30])
def test_reasoning_tokens_are_the_budget_or_what_there_was_room_for(budget):
    one = engine()
    one.add(thoughtful("a", "What is a river?", budget=budget, sampling={"ignore_eos": True}))
    told = []
    while one.busy:
        told += [event.reasoning_tokens for event in one.step()]
    assert told[-1] == min(budget, 24) and told == sorted(told)


def test_without_a_budget_thoughts_are_only_counted():
    plain = run(engine(), ask("a", "What is a river?", 24))["a"]
    assert run(engine(), thoughtful("a", "What is a river?"))["a"] == plain


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_budget_gives_the_same_alone_in_a_crowd_and_after_preemption(temperature):
    def asks():
        sampling = {"temperature": temperature, "seed": 7, "ignore_eos": True, "logprobs": 0, "presence_penalty": 0.5}
        return [thoughtful(n, f"{n} is a river?", budget=3 + n, sampling=sampling) for n in range(5)]

    alone = {}
    for one in asks():
        alone |= run(engine(), one)
    small = engine(kv_tokens=96, block_size=4)
    assert run(small, *asks()) == alone
    assert small.stats()["preemptions"] > 0


def test_a_mark_that_the_grammar_forbids_is_not_written():
    found = run(engine(), msgspec.structs.replace(thoughtful("a", "x", budget=2), grammar="start: /[a-z]{9}/"))["a"]
    assert found.finish == "stop" and len(found.text) == 9 and CLOSE not in found.text


def test_a_special_token_is_shown_where_it_is_wanted():
    tokenizer = tiny_tokenizer()
    mark = tokenizer.special["<|object_ref_start|>"]
    hidden = ask("a", "x", 2, logit_bias={mark: 100.0})
    assert mark in tokenizer.hidden and run(engine(), hidden)["a"].text == ""
    shown = msgspec.structs.replace(hidden, visible_ids=(mark,))
    assert run(engine(), shown)["a"].text == "<|object_ref_start|>" * 2


def test_a_closing_mark_outside_the_vocabulary_is_refused():
    with pytest.raises(Exception, match=r"`thinking.closing` has token 99999"):
        engine().add(thoughtful("a", "x", budget=1, closing=(99999,)))

"""Answers under a grammar: whatever the model would say, what it says fits; nothing else about an answer changes."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from creuset.engine.answer.grammar import Grammars
from creuset.engine.sampler import Sampler
from creuset.testing import tiny_tokenizer
from creuset.text import grammar
from creuset.text.schema.read import MAX_OPTIONAL
from creuset.text.watermark import Watermark
from creuset.types.generation import Sampling
from tests.engine.support import ask, engine, run
from tests.lazy import lazily

if TYPE_CHECKING:
    import jsonschema
else:
    jsonschema = lazily("jsonschema")

SUITE = Path(__file__).parents[1] / "golden" / "json_schema_suite" / "draft2020-12.jsonl"
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 6},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "kind": {"enum": ["chat", "chien", "été"]},
        "tags": {"type": "array", "items": {"type": "boolean"}, "maxItems": 2},
    },
    "required": ["name", "age", "kind"],
    "additionalProperties": False,
}


def under(text, id, prompt="The cat ", max_tokens=120, **sampling):
    """A request that must fit the grammar `text`. At this temperature the model chooses nearly at random."""
    kind = {"temperature": 1.5, "seed": 7} | sampling
    return msgspec.structs.replace(ask(id, prompt, max_tokens, **kind), grammar=text)


def digits(least=1, most=3):
    return grammar.regex(rf"[0-9]{{{least},{most}}}")


def test_a_babbling_model_writes_json_that_fits_its_schema():
    one, wanted = engine(), {}
    for at, line in enumerate(SUITE.read_text(encoding="utf-8").splitlines()[::5]):
        schema = json.loads(line)["schema"]
        try:
            text = grammar.json_schema(schema)
        except grammar.RequestError:
            continue
        wanted[str(at)] = schema, under(text, at, max_tokens=60, seed=at)
    wanted["person"] = PERSON, under(grammar.json_schema(PERSON), "person")
    found = run(one, *(request for _, request in wanted.values()))
    ended = {id: event for id, event in found.items() if event.finish == "stop"}
    assert len(ended) > len(wanted) / 2, {id: event.finish for id, event in found.items()}
    for id, event in ended.items():
        jsonschema.validate(json.loads(event.text), wanted[id][0])
    assert {event.finish for event in found.values()} <= {"stop", "length"}


def test_the_answer_ends_with_the_grammar_and_not_later():
    """No end token has to be drawn: none of what could keep a model from it matters."""
    text = grammar.choice(["yes", "no"])
    plain = under(text, "plain")
    others = [
        under(text, "min_tokens", min_tokens=50),
        under(text, "ignore_eos", ignore_eos=True),
        under(text, "bias", logit_bias={tiny_tokenizer().im_end: -100.0}),
        under(text, "just enough", max_tokens=3),
    ]
    found = run(engine(), plain, *others)
    for event in found.values():
        assert event.text in ("yes", "no") and event.finish == "stop" and event.stop_token is None
    assert len({event.tokens for event in found.values()}) == 1


def test_an_answer_that_could_go_on_may_end_and_one_that_cannot_end_may_not():
    tokenizer = tiny_tokenizer()
    eager = {"logit_bias": {tokenizer.im_end: 100.0}, "temperature": 0.0}
    found = run(
        engine(),
        under(digits(), "at once", **eager),
        under(digits(), "held", min_tokens=2, **eager),
        under(digits(), "ignored", ignore_eos=True, **eager),
        under(digits(), "by another", ignore_eos=True, stop_ids=(5,), logit_bias={5: 100.0}, temperature=0.0),
    )
    assert {id: len(event.text) for id, event in found.items()} == {
        "at once": 1,
        "held": 2,
        "ignored": 3,
        "by another": 1,
    }
    assert all(event.finish == "stop" and event.text.isdigit() for event in found.values())
    assert found["at once"].stop_token == tokenizer.im_end and found["by another"].stop_token == 5


def test_an_answer_cut_by_its_length_says_so():
    event = run(engine(), under(digits(50, 60), "cut", max_tokens=20))["cut"]
    assert event.finish == "length" and event.text.isdigit() and len(event.tokens) == 20


def test_a_stop_string_ends_it_before_the_grammar_does():
    event = run(engine(), under(grammar.regex("[ab]{40,60}"), "s", stop=("b",)))["s"]
    assert event.stop_match == "b" and set(event.text) <= {"a"}


ASKS = [
    under(grammar.json_schema(PERSON), "json", "The cat sat ", 70, logprobs=2),
    under(grammar.json_schema(PERSON), "json too", "A cat ", 60, seed=8, min_p=0.001, frequency_penalty=0.5),
    under(digits(20, 30), "digits", "What is a river? ", 30, logprobs=2, top_p=0.9, presence_penalty=1.0),
    under(grammar.choice(["yes", "no"]), "choice", "Is it? ", 9, logprobs=2, top_k=3, repetition_penalty=1.3),
    ask("free", "7 days in a week ", 16, temperature=1.0, seed=3, logprobs=2),
    under(grammar.json_schema(PERSON), "likeliest", "The cat sat ", 40, temperature=0.0),
    under("start: /[a-z ,.]+/", "likeliest words", "The dog ran ", 20, temperature=0.0),
]


def said(event):
    return msgspec.structs.replace(event, id="", cached_tokens=0)


@pytest.mark.parametrize("beside", [True, False])
def test_an_answer_under_a_grammar_does_not_depend_on_the_batch(monkeypatch, beside):
    """Nor on whether masks are computed beside the forward pass."""
    if beside:
        monkeypatch.setattr("creuset.engine.answer.grammar.SMALL_VOCAB", 0)
    alone = {one.id: said(run(engine(prefix_cache=False), one)[one.id]) for one in ASKS}
    crowded = engine()
    tight = engine(kv_tokens=80, block_size=4)
    chunked = engine(max_batch_tokens=5, max_running=5)
    for found in (run(crowded, *ASKS), run(crowded, *ASKS), run(tight, *ASKS), run(chunked, *ASKS)):
        assert {id: said(event) for id, event in found.items()} == alone
    assert tight.stats()["preemptions"] > 0


def test_a_grammar_that_allows_everything_changes_nothing():
    one = engine()
    spelled = [one.tokenizer.token_bytes(id).decode("ascii", "replace") for id in range(one.tokenizer.vocab_size)]
    special = {*one.tokenizer.special.values()} - {one.tokenizer.im_end}
    others = {
        id: -100.0 for id, text in enumerate(spelled) if not text.isprintable() or "\ufffd" in text or id in special
    }
    free = ask(
        "free", "The dog ran ", 20, temperature=1.0, seed=3, top_p=0.9, min_p=0.001, logprobs=2, logit_bias=others
    )
    bound = msgspec.structs.replace(free, id="bound", grammar="start: /[ -~]*/")
    found = run(one, free, bound)
    assert len(found["free"].text) > 20 and said(found["free"]) == said(found["bound"])


def test_choices_share_a_grammar_and_differ():
    asks = [under(grammar.json_schema(PERSON), i, seed=i) for i in range(4)]
    found = run(engine(), *asks)
    assert len({event.text for event in found.values()}) == 4


def test_special_tokens_can_be_asked_for_and_are_not_spelled():
    tokenizer = tiny_tokenizer()
    event = run(engine(), under("start: <tool_call> /[a-c]{2}/ </tool_call>", "t"))["t"]
    assert event.finish == "stop"
    assert event.tokens[0] == tokenizer.special["<tool_call>"] and event.tokens[-1] == tokenizer.special["</tool_call>"]
    spelled = run(engine(), under(grammar.choice(["<tool_call>"]), "s"))["s"]
    assert spelled.text == "<tool_call>" and tokenizer.special["<tool_call>"] not in spelled.tokens


def test_one_bad_grammar_ends_one_request():
    found = run(engine(), under("start: <nobody>", "bad"), ask("good", "The cat ", 5), under(digits(), "fine"))
    assert found["bad"].finish == "error" and "<nobody>" in found["bad"].error
    assert found["good"].finish in ("stop", "length") and found["fine"].finish == "stop"


def test_a_request_can_be_cancelled_while_its_grammar_is_compiled():
    one = engine()
    one.add(under(digits(), "a"))
    one.cancel("a")
    events = one.step()
    assert [event.finish for event in events] == ["cancelled"] and not one.busy
    one.check()


def test_the_sampler_never_draws_what_is_not_allowed():
    rng = np.random.default_rng(0)
    for at in range(200):
        logits_V = rng.normal(size=300).astype(np.float32) * 5
        allowed_V = rng.random(300) < (0.02 if at % 2 else 0.5)
        allowed_V[at] = True
        kinds = [{"top_k": 5}, {"top_p": 0.5}, {"min_p": 0.3}, {"temperature": 0.0}, {"frequency_penalty": 2.0}, {}]
        mark = Watermark(key=b"k" * 32) if at % 3 == 0 else None
        sampler = Sampler(
            Sampling(max_tokens=9, **kinds[at % 6]), prompt=[1], vocab_size=300, end_ids=frozenset({3}), seed=at,
            watermark=mark,
        )  # fmt: skip
        assert allowed_V[sampler.choose(logits_V, allowed_V)]


def test_the_few_that_are_allowed_are_chosen_from_as_all_are_with_the_others_left_out():
    """The definition is a row in which no other token has a chance."""
    rng = np.random.default_rng(1)
    kinds = [{}, {"top_k": 2}, {"top_p": 0.7}, {"min_p": 0.1}, {"temperature": 0.0}, {"presence_penalty": 1.0}]
    for at in range(120):
        logits_V = rng.normal(size=400).astype(np.float32) * 3
        allowed_V = np.zeros(400, dtype=bool)
        allowed_V[rng.choice(400, size=int(rng.integers(1, 51)), replace=False)] = True
        shown = {"logprobs": 3, "logprobs_mode": "processed_logprobs"} if at % 2 else {}
        sampling = Sampling(max_tokens=9, **kinds[at % 6], **shown)
        one, other = (Sampler(sampling, prompt=[1], vocab_size=400, end_ids=frozenset(), seed=at) for _ in range(2))
        for _ in range(3):
            token = one.choose(logits_V, allowed_V)
            assert token == other.choose(np.where(allowed_V, logits_V, np.float32(-np.inf)))
            if shown:
                mine, theirs = one.drawn_logprob(token, 3), other.drawn_logprob(token, 3)
                assert mine.logprob == pytest.approx(theirs.logprob, abs=1e-12)
                assert [id for id, _ in mine.top] == [id for id, _ in theirs.top]


def test_a_token_may_come_by_itself_where_it_may_come_by_the_mask():
    tokenizer, chance = tiny_tokenizer(), np.random.default_rng(2)
    grammars = Grammars(tokenizer, end_ids=[tokenizer.im_end], vocab_size=tokenizer.vocab_size)
    compiled = grammars.compile('start: /[a-z]{2,5}/ ("," /[0-9]+/)*').result()
    for seed in range(4):
        one, other = (grammars.mask(compiled, Sampling(max_tokens=9, min_tokens=seed)) for _ in range(2))
        for _ in range(8):
            allowed_V = other.allowed()
            able = np.flatnonzero(allowed_V)
            for token in (*chance.integers(0, len(allowed_V), 60).tolist(), *able[:20].tolist(), tokenizer.im_end):
                assert one.permits(token) == allowed_V[token]
            token = int(chance.choice(able[able != tokenizer.im_end]))
            assert one.permits(token), "now it is looked up without a mask"
            assert one.accept(token) is other.accept(token) is False


def test_an_object_of_very_many_optional_properties_can_be_written():
    schema = {"type": "object", "properties": {f"p{i}": {"type": "null"} for i in range(MAX_OPTIONAL)}}
    found = run(engine(), under(grammar.json_schema({**schema, "additionalProperties": False}), "many", max_tokens=30))
    assert found["many"].finish in ("stop", "length")


@pytest.mark.parametrize("text", ["start: start", 'start: "a" start'])
def test_a_rule_that_never_ends_is_the_requests_fault(text):
    """So a server answers 400, and a client does not try again."""
    found = run(engine(), under(text, "bad"), under(digits(), "fine"))
    assert (found["bad"].finish, found["bad"].param) == ("error", "grammar") and found["fine"].param is None
    assert found["fine"].finish == "stop"

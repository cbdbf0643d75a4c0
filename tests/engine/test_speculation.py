"""Drafts change how many steps an answer takes, and nothing else."""

import random

import msgspec
import pytest
import torch

from creuset.core.errors import ConfigError
from creuset.engine.engine import Engine
from creuset.engine.scheduler import Sequence
from creuset.engine.settings import EngineSettings
from creuset.engine.speculation import _FIRST, WASTE, Allowance, PromptLookup
from creuset.testing import tiny_config, tiny_model, tiny_model_folder, tiny_tokenizer
from creuset.text.grammar import choice
from creuset.text.watermark import Watermark
from creuset.types.generation import Thinking
from tests.engine.support import ask, engine, run, runner

STORY = "The cat sat on the mat. The dog ran to the river, and the cat ran after the dog. "
PROMPTS = (STORY, "What is a river? ", STORY * 3, "7 days in a week and 24 hours in a day. " * 2)
MARK = Watermark(key=bytes(range(32)))
MODEL = {"family": "deepseek_v3", "changes": {"next_layers": 1}}
DRAFTERS = [
    pytest.param(MODEL, {"speculation": "model"}, id="deepseek_v3 by its own layer"),
    pytest.param({"family": "deepseek_v3"}, {"speculation": "lookup"}, id="deepseek_v3 by lookup"),
    pytest.param({"family": "qwen3_moe"}, {"speculation": "lookup", "draft_tokens": 7}, id="qwen3_moe by lookup"),
    pytest.param({"family": "gpt_oss"}, {"speculation": "lookup", "draft_tokens": 2}, id="gpt_oss by lookup"),
]


def said(event):
    return msgspec.structs.replace(event, id="", cached_tokens=0)


def asks(**sampling):
    kind = {"max_tokens": 24, "logprobs": 2, "ignore_eos": True} | sampling
    return [ask(i, prompt, **kind) for i, prompt in enumerate(PROMPTS)]


def certain(watermark=None, **settings) -> Engine:
    """A model that goes on by the last token alone, whose own layer knows it: every draft is right.

    Attention and feed-forward layers add nothing; the layer behind hands the next token's embedding through.
    """
    tokenizer = tiny_tokenizer()
    model = tiny_model(tiny_config("deepseek_v3", vocab_size=tokenizer.vocab_size, next_layers=1, hidden=64,
                                   tie_embeddings=False))  # fmt: skip
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight", "experts.down")):
                value.zero_()
            elif name.endswith("eh_proj.weight"):
                value.copy_(torch.cat((torch.eye(64), torch.zeros(64, 64)), dim=1))
        # Else each token's likeliest successor is itself.
        head = torch.randn(model.lm_head.weight.shape, generator=torch.Generator().manual_seed(1))
        model.lm_head.weight.copy_(head)
    chosen = EngineSettings(**({"dtype": "fp32", "seed": 1} | settings))
    return Engine(runner(model, chosen), tokenizer, settings=chosen, end_ids=[tokenizer.im_end])


@pytest.mark.parametrize(
    "sampling", [{"temperature": 0.0}, {"temperature": 0.7, "top_p": 0.9}], ids=["greedy", "drawn"]
)
@pytest.mark.parametrize(("kind", "settings"), DRAFTERS)
def test_an_answer_is_the_same_with_drafts_and_without(kind, settings, sampling):
    requests = asks(seed=5, repetition_penalty=1.02, **sampling)
    plain = engine(**kind, speculation="off")
    expected = [said(one) for one in run(plain, *requests).values()]
    assert plain.stats()["drafted_tokens_total"] == 0
    drafting = engine(**kind, **settings)
    again = [run(drafting, *requests), run(drafting, *requests)]
    tight = engine(**kind, **settings, kv_tokens=152, block_size=4, max_batch_tokens=9, max_running=4)
    squeezed = run(tight, *requests)
    assert tight.stats()["preemptions"] > 0
    for found in (*again, squeezed, *(run(engine(**kind, **settings), one) for one in requests[:1])):
        for id, event in found.items():
            assert said(event) == expected[int(id)]
    stats = drafting.stats()
    assert stats["drafted_tokens_total"] > 0 or sampling["temperature"], "a greedy answer repeats itself soon"
    assert 0 <= stats["accepted_tokens_total"] <= stats["drafted_tokens_total"]


def test_right_drafts_halve_the_steps():
    request = ask("a", STORY, 41, temperature=0.0, ignore_eos=True)
    plain, drafting = certain(speculation="off"), certain()
    expected = run(plain, request)["a"]
    assert said(run(drafting, request)["a"]) == said(expected)
    assert len(set(expected.tokens[:8])) > 2, "a loop of one or two tokens would prove little"
    before, after = plain.stats(), drafting.stats()
    assert before["steps_total"] == 41
    assert after["steps_total"] == 21  # the prompt with the first token, then two tokens a step
    assert after["drafted_tokens_total"] == after["accepted_tokens_total"] == 20
    assert after["completion_tokens_total"] == 41


def test_lookup_finds_what_an_answer_repeats():
    request = ask("a", STORY, 60, temperature=0.0, ignore_eos=True)
    plain, drafting = certain(speculation="off"), certain(speculation="lookup", draft_tokens=4)
    expected = run(plain, request)["a"]
    assert said(run(drafting, request)["a"]) == said(expected)
    stats = drafting.stats()
    # Its tokens are soon in a circle.
    assert stats["accepted_tokens_total"] > 20 and stats["steps_total"] < 40


@pytest.mark.parametrize("cost", [0.35, 0.8])
def test_drafts_that_are_wrong_cost_three_percent_at_most_and_are_tried_again(cost):
    allowance, drafted = Allowance(cost), 0
    for _ in range(1000):
        rows = min(7, allowance.rows)
        drafted += rows
        allowance.settle(rows, 0)
    assert 0 < drafted * cost <= _FIRST + WASTE * 1000
    late = Allowance(cost)
    for _ in range(200):
        late.settle(min(7, late.rows), 0)
    for _ in range(200):  # from now on each is right
        rows = min(7, late.rows)
        late.settle(rows, rows)
    assert rows == 7


@pytest.mark.parametrize("row", [0.35, 0.8])
@pytest.mark.parametrize("right", [0.0, 0.2, 0.45, 0.6, 0.9])
def test_what_drafts_cost_beyond_what_they_save_is_bounded(right, row):
    """Whatever share of drafts is right, an answer's steps cost at most 3 % and two steps more than without drafts."""
    pick, allowance, cost, tokens = random.Random(1), Allowance(row), 0.0, 0
    while tokens < 2000:
        rows, accepted = min(7, allowance.rows), 0
        while accepted < rows and pick.random() < right:
            accepted += 1
        cost, tokens = cost + 1 + row * rows, tokens + 1 + accepted
        allowance.settle(rows, accepted)
        assert cost <= tokens * (1 + WASTE) + _FIRST + 7 * row
    if right == 0.9 and row < 0.5:
        assert cost < 0.65 * tokens


def test_lookup_is_soon_off_for_an_answer_that_repeats_nothing_of_what_it_finds():
    one = engine(speculation="lookup")
    wrong = [5, 6, 7, 8] * 6  # what followed before never follows again
    one._drafter.draft = lambda sequence, most: wrong[:most]
    run(one, ask("a", STORY, 100, temperature=1.0, seed=3, ignore_eos=True))
    assert 2 <= one.stats()["drafted_tokens_total"] <= (_FIRST + WASTE * 100) / one._row_cost + 1


def test_an_answer_ends_within_a_draft_where_it_would_have_ended():
    whole = run(certain(speculation="off"), ask("a", STORY, 20, temperature=0.0, ignore_eos=True))["a"]
    text = "".join(tiny_tokenizer().decode([token]) for token in whole.tokens[3:5])
    for sampling in (
        {"stop": (text,)},
        {"stop_ids": (whole.tokens[4],)},
        {"stop_ids": (whole.tokens[5],), "min_tokens": 3},
        {"max_tokens": 2},
        {"max_tokens": 1},
        {"max_tokens": 0},
    ):
        request = ask("a", STORY, **({"max_tokens": 20, "temperature": 0.0, "logprobs": 1} | sampling))
        plain, drafting = certain(speculation="off"), certain(speculation="lookup")
        own = certain()
        expected = said(run(plain, request)["a"])
        assert said(run(drafting, request)["a"]) == said(run(own, request)["a"]) == expected
        assert plain.stats()["completion_tokens_total"] == own.stats()["completion_tokens_total"]


def test_a_request_with_a_grammar_has_no_drafts_and_disturbs_nobody():
    free = ask("free", STORY, 20, temperature=0.0, ignore_eos=True)
    bound = msgspec.structs.replace(ask("bound", STORY, 20, temperature=0.0), grammar=choice(["the river", "the mat"]))
    alone = run(certain(speculation="off"), free)["free"]
    both = certain()
    found = run(both, free, bound)
    assert found["bound"].text in ("the river", "the mat")
    assert said(found["free"]) == said(alone)
    only = certain()
    run(only, bound)
    assert only.stats()["drafted_tokens_total"] == 0


def test_marks_penalties_and_thoughts_are_those_of_an_answer_without_drafts():
    closing = tuple(tiny_tokenizer().encode_special("</think>\n\n"))
    thought = Thinking(open="<think>", close="</think>", opened=True, closing=closing, budget=6)
    drawn = {"temperature": 0.3, "seed": 4, "ignore_eos": True, "logprobs": 1}
    asked = [
        ask("marked", STORY, 30, **drawn),
        ask("penalties", STORY, 30, **drawn, frequency_penalty=0.4, presence_penalty=0.2, logit_bias={7: 3.0}),
        msgspec.structs.replace(ask("thought", STORY, 30, **drawn), thinking=thought),
    ]
    plain, own, lookup = (certain(MARK, speculation=kind) for kind in ("off", "model", "lookup"))
    expected = run(plain, *asked)
    for one in (own, lookup):
        found = run(one, *asked)
        assert [said(found[id]) for id in expected] == [said(event) for event in expected.values()]
        assert one.stats()["drafted_tokens_total"] > 0
    assert own.stats()["accepted_tokens_total"] > 0


def test_a_drafter_that_fails_ends_no_answer(monkeypatch):
    one = certain()
    expected = said(run(certain(speculation="off"), ask("a", STORY, 12, temperature=0.0))["a"])

    def fail(rows, batch):
        raise RuntimeError("no memory")

    monkeypatch.setattr(one._runner, "guess", fail)
    assert said(run(one, ask("a", STORY, 12, temperature=0.0))["a"]) == expected
    assert one.stats()["speculating"] == 0


def test_a_model_without_the_layer_speculates_only_by_lookup():
    assert engine().stats()["speculating"] == 0
    assert engine(speculation="lookup").stats()["speculating"] == 1
    assert engine(**MODEL).stats()["speculating"] == 1
    assert engine(**MODEL, speculation="off").stats()["speculating"] == 0
    with pytest.raises(ConfigError, match="this model has none"):
        engine(speculation="model")


def test_an_engine_reads_the_layer_from_the_folder_unless_speculation_is_off(tmp_path):
    folder = tiny_model_folder(tmp_path / "model", "deepseek_v3", next_layers=1)
    request = ask("a", STORY, 12, temperature=0.0, ignore_eos=True)
    answers = set()
    for chosen, kind in (("auto", "model"), ("model", "model"), ("lookup", "lookup"), ("off", None)):
        one = Engine.load(folder, settings=EngineSettings(dtype="fp32", speculation=chosen, kv_tokens=512))
        assert one.choices["speculation"] == kind
        assert one.config.next_layers == (kind == "model")
        answers.add(run(one, request)["a"].tokens)
    assert len(answers) == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"speculation": "eagle"}, "speculation must be auto, off, model or lookup, got eagle"),
        ({"draft_tokens": 0}, "draft_tokens must be positive, got 0"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        EngineSettings(**changes)


def looked_up(tokens, most):
    """The definition: the last place where the last two tokens were before."""
    for at in range(len(tokens) - 3, -1, -1):
        if tokens[at : at + 2] == tokens[-2:]:
            return tokens[at + 2 : at + 2 + most]
    return []


def test_lookup_equals_the_definition():
    generator = torch.Generator().manual_seed(0)
    found = 0
    for size in range(1, 80):
        # Few and large ids: their bytes are alike where no token begins.
        tokens = (torch.randint(0, 4, (size,), generator=generator) * 257).tolist()
        draft = PromptLookup().draft(Sequence(ask("a", tokens), 1, tokens), 4)
        assert draft == looked_up(tokens, 4)
        found += bool(draft)
    assert found > 40

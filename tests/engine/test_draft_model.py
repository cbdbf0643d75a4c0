"""A draft model changes how many steps an answer takes, and nothing else."""

import msgspec
import pytest

from creuset.core.errors import ConfigError
from creuset.engine.draft_model import DraftModel, refuse_other_words
from creuset.engine.engine import Engine
from creuset.engine.settings import EngineSettings
from creuset.testing import tiny_config, tiny_model, tiny_model_folder, tiny_tokenizer
from creuset.text.tokenizer import train
from tests.engine.support import BACKENDS, ask, engine, run, runner

STORY = "The cat sat on the mat. The dog ran to the river, and the cat ran after the dog. "
PROMPTS = (STORY, "What is a river? ", STORY * 3, "7 days in a week and 24 hours in a day. " * 2)


def drafted(seed=0, family="qwen3_moe", context=2048, **settings) -> Engine:
    """The model of `engine()`, and a draft model: the same one with seed 0, another one else."""
    tokenizer = tiny_tokenizer()
    chosen = EngineSettings(**({"dtype": "fp32", "seed": 1} | settings))
    model = tiny_model(tiny_config("qwen3_moe", vocab_size=tokenizer.vocab_size), seed=0)
    small = tiny_model(tiny_config(family, vocab_size=tokenizer.vocab_size, context=context), seed=seed)
    ends = [tokenizer.im_end]
    one = Engine(runner(model, chosen), tokenizer, settings=chosen, end_ids=ends, draft=runner(small, chosen))
    one._row_cost = 0.1  # a draft model as large as the model is found too dear, and none of it would be seen
    return one


def said(event):
    return msgspec.structs.replace(event, id="", cached_tokens=0)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("seed", [0, 7], ids=["right", "wrong"])
@pytest.mark.parametrize(
    "sampling", [{"temperature": 0.0}, {"temperature": 0.7, "top_p": 0.9}], ids=["greedy", "drawn"]
)
def test_an_answer_is_the_same_with_a_draft_model_and_without(sampling, seed, backend):
    kind = {"max_tokens": 24, "logprobs": 2, "ignore_eos": True, "seed": 5} | sampling
    asked = [ask(i, prompt, **kind) for i, prompt in enumerate(PROMPTS)]
    expected = [said(one) for one in run(engine(backend=backend), *asked).values()]
    one = drafted(seed, backend=backend)
    for found in (run(one, *asked), run(one, asked[0]), run(drafted(seed, backend=backend, kv_tokens=152, block_size=4,
                  max_batch_tokens=9, max_running=4), *asked)):  # fmt: skip
        for id, event in found.items():
            assert said(event) == expected[int(id)]
    assert one.stats()["drafted_tokens_total"] > 0
    assert one._drafter._pool.free == one._drafter._pool.num_blocks, "a request that has ended holds blocks"


def test_right_drafts_save_steps_and_the_engine_says_who_drafts():
    one, asked = drafted(), ask("a", STORY, 64, temperature=0.0, ignore_eos=True)
    assert one.choices["speculation"] == "draft"
    run(one, asked)
    stats = one.stats()
    assert stats["drafted_tokens_total"] == stats["accepted_tokens_total"] > 40
    assert stats["steps_total"] < 24


def test_a_draft_model_with_a_short_context_drafts_as_far_as_it_reaches():
    one, asked = drafted(context=64), ask("a", STORY * 2, 40, temperature=0.0, ignore_eos=True)
    assert len(asked.prompt) < 64 < len(asked.prompt) + 40
    assert said(run(one, asked)["a"]) == said(run(engine(), asked)["a"])
    assert 0 < one.stats()["drafted_tokens_total"] < 40


def test_a_draft_model_that_fails_ends_no_answer(monkeypatch):
    one, asked = drafted(), ask("a", STORY, 12, temperature=0.0, ignore_eos=True)

    def fail(batch):
        raise RuntimeError("no memory")

    monkeypatch.setattr(one._drafter._runner, "forward", fail)
    assert said(run(one, asked)["a"]) == said(run(engine(), asked)["a"])
    assert one.stats()["speculating"] == 0


def test_no_room_in_its_cache_means_no_drafts():
    tokenizer = tiny_tokenizer()
    small = runner(tiny_model(tiny_config(vocab_size=tokenizer.vocab_size)), EngineSettings(dtype="fp32"))
    one, asked = drafted(), ask("a", STORY, 12, temperature=0.0, ignore_eos=True)
    one._drafter = DraftModel(small, tokens=8, block_size=4, vocab=tokenizer.vocab_size)
    assert said(run(one, asked)["a"]) == said(run(engine(), asked)["a"])
    assert one.stats()["drafted_tokens_total"] == 0


def test_it_is_read_from_its_folder_and_must_have_the_same_tokens(tmp_path):
    folder = tiny_model_folder(tmp_path / "model")
    settings = EngineSettings(dtype="fp32", draft=str(folder), kv_tokens=512, seed=1)
    one, asked = Engine.load(folder, settings=settings), ask("a", STORY, 20, temperature=0.0, ignore_eos=True)
    assert one._row_cost > 1
    one._row_cost = 0.1
    run(one, asked)
    assert one.stats()["accepted_tokens_total"] > 10
    other = train(["Le chat est sur la table, et le chien court."], vocab_size=tiny_tokenizer().vocab_size)
    with pytest.raises(ConfigError, match=r"token \d+ is b'.*' in the draft model and b'.*' in the model"):
        refuse_other_words(other, tiny_tokenizer())
    few = train(["a b"], vocab_size=300)
    with pytest.raises(ConfigError, match=r"the draft model has \d+ tokens and the model \d+: it needs the same ones"):
        refuse_other_words(few, tiny_tokenizer())


def test_a_draft_model_and_no_speculation_exclude_each_other():
    with pytest.raises(ValueError, match=r"a draft model \(`x`\) and speculation `off` exclude each other"):
        EngineSettings(draft="x", speculation="off")

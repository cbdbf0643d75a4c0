"""Experts that an engine chose can be told and replayed: training then computes with the same ones."""

import pytest
import torch

from creuset.core.errors import EngineError
from creuset.engine.loading import LiveWeights
from creuset.model.attention import Packed
from creuset.model.moe import replayed
from creuset.testing import tiny_config, tiny_model, tiny_tokenizer
from tests.engine.support import BACKENDS, ask, engine, run

STORY = "The cat sat on the mat. The dog ran to the river, and the cat ran after the dog. "
FAMILIES = ("qwen3_moe", "deepseek_v3", "gpt_oss")


def trained(family, seed=0):
    return tiny_model(tiny_config(family, vocab_size=tiny_tokenizer().vocab_size), seed=seed)


def forward(model, ids, routers):
    tokens = torch.tensor(ids)
    hidden = model(tokens, torch.arange(len(ids)), Packed([len(ids)]), routers=routers)
    return model.logits(hidden).log_softmax(-1)[:-1].gather(1, tokens[1:, None])[:, 0]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_experts_are_those_that_training_chooses_in_the_same_numbers(family, backend):
    one, ids = engine(family, backend=backend), tiny_tokenizer().encode(STORY)
    found, routers = one.routing(ids), []
    forward(trained(family), ids, routers)
    expected = torch.stack([one.experts_TK for one in routers], dim=1)
    assert torch.equal(torch.from_numpy(found).long(), expected)


@pytest.mark.parametrize("backend", BACKENDS)
def test_replayed_training_has_the_log_probabilities_of_answers_in_fp32_and_nearer_ones_in_bf16(backend):
    ids, apart = tiny_tokenizer().encode(STORY), {}
    for dtype in ("fp32", "bf16"):
        one = engine(backend=backend, dtype=dtype)
        one.hand_over(LiveWeights(trained("qwen3_moe", 3)), version="1")
        answer = run(one, ask("a", ids, 24, seed=3, logprobs=0, ignore_eos=True))["a"]
        whole = [*ids, *answer.tokens]
        said, model, routers = torch.tensor([entry.logprob for entry in answer.logprobs]), trained("qwen3_moe", 3), []
        experts = torch.from_numpy(one.routing(whole))
        with replayed(model, experts):
            values = forward(model, whole, routers)[-len(said) :]
        assert torch.equal(torch.stack([one.experts_TK for one in routers], dim=1), experts.long())
        apart[dtype] = float((values.detach() - said).abs().max())
    assert apart["fp32"] < 1e-4 and apart["bf16"] < 0.25


def test_other_experts_are_computed_when_they_are_given_and_learn():
    model, ids, routers = trained("qwen3_moe"), tiny_tokenizer().encode(STORY), []
    free = forward(model, ids, routers)
    chosen = torch.stack([one.experts_TK for one in routers], dim=1)
    with replayed(model, chosen):
        assert torch.equal(forward(model, ids, []), free)
    others = (chosen + 1) % 4
    with replayed(model, others):
        again = forward(model, ids, [])
        again.sum().backward()
    assert not torch.allclose(again, free)
    used = others[:, 0].unique().tolist()
    grads = model.model.layers[0].mlp.experts.down.grad.abs().sum((1, 2))
    assert [bool(grad > 0) for grad in grads] == [expert in used for expert in range(4)]
    assert torch.equal(forward(model, ids, []), free), "the replay has ended"


def test_experts_of_another_shape_and_a_model_without_any_are_refused():
    model = trained("qwen3_moe")
    for shape, words in (((5, 3, 2), "for 3 layers and 2 a token"), ((5, 2, 1), "for 2 layers and 1 a token")):
        with pytest.raises(ValueError, match=words), replayed(model, torch.zeros(shape, dtype=torch.int32)):
            pass
    with pytest.raises(EngineError, match="this model has no experts"):
        engine("qwen3").routing([1, 2, 3])

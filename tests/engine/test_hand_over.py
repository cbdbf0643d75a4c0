"""Weights of a training step answer from then on: with their own log-probabilities, and nothing of the old ones."""

import numpy as np
import pytest
import torch

from creuset.core.errors import ArtifactError, ConfigError, EngineError
from creuset.engine.loading import LiveWeights
from creuset.model.attention import Packed
from creuset.model.score import Reading
from creuset.testing import tiny_config, tiny_model, tiny_tokenizer
from tests.engine.support import ask, engine, run

STORY = "The cat sat on the mat. The dog ran to the river, and the cat ran after the dog. "
BACKENDS = ["torch", "auto"]
BF16_BOUND = (
    0.25  # |difference of ln p|, of a random model whose logits spread over 20: eight bits of a number are kept
)


def trained(seed, **changes):
    return tiny_model(tiny_config(vocab_size=tiny_tokenizer().vocab_size, **changes), seed=seed)


def logprobs(model, ids):
    """ln p of each token but the first, as training computes it."""
    tokens = torch.tensor(ids)
    with torch.no_grad():
        scores_TV = model.logits(model(tokens, torch.arange(len(ids)), Packed([len(ids)]))).float().log_softmax(-1)
    return scores_TV[:-1].gather(1, tokens[1:, None])[:, 0].tolist()


@pytest.mark.parametrize("backend", BACKENDS)
def test_log_probabilities_are_those_of_the_weights_in_training_before_and_after(backend):
    one = engine(backend=backend, block_size=4)
    asked = ask("a", STORY, 12, seed=3, logprobs=0, prompt_logprobs=0, ignore_eos=True)
    for step, seed in enumerate((0, 5, 0)):
        model = trained(seed)
        if step:
            one.hand_over(LiveWeights(model), version=f"step-{step}")
            assert one.version == f"step-{step}"
        answer = run(one, asked)["a"]
        expected = logprobs(model, [*asked.prompt, *answer.tokens])
        said = [entry.logprob for entry in (*answer.prompt_logprobs[1:], *answer.logprobs)]
        assert said == pytest.approx(expected, abs=1e-4)
        ((_, scored, _),) = one.score([Reading(np.array([*asked.prompt, *answer.tokens]))])
        assert scored.tolist() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("backend", BACKENDS)
def test_in_bf16_they_are_within_a_bound(backend):
    one = engine(backend=backend, dtype="bf16")
    one.hand_over(LiveWeights(trained(5)), version="1")
    asked = ask("a", STORY, 12, seed=3, logprobs=0, prompt_logprobs=0, ignore_eos=True)
    answer = run(one, asked)["a"]
    said = [entry.logprob for entry in (*answer.prompt_logprobs[1:], *answer.logprobs)]
    apart = [abs(a - b) for a, b in zip(said, logprobs(trained(5), [*asked.prompt, *answer.tokens]), strict=True)]
    assert 0 < sum(apart) / len(apart) < BF16_BOUND / 5 and max(apart) < BF16_BOUND


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_old_weights_computed_is_not_read_again(backend):
    one = engine(backend=backend, block_size=4)
    asked = ask("a", STORY, 12, temperature=0.0, ignore_eos=True)
    old = run(one, asked)["a"]
    assert run(one, asked)["a"].cached_tokens > 0
    model = trained(5)
    one.hand_over(LiveWeights(model), version="1")
    new = run(one, asked)["a"]
    assert new.cached_tokens == 0 and new.tokens != old.tokens
    logits = [entry.logprob for entry in run(one, ask("b", STORY, 12, temperature=0.0, logprobs=0))["b"].logprobs]
    assert logits == pytest.approx(logprobs(model, [*asked.prompt, *new.tokens])[-12:], abs=1e-4)
    with torch.no_grad():  # the model goes on to be trained: the engine has a copy
        for parameter in model.parameters():
            parameter.mul_(0)
    one.reset_prefix_cache()
    assert run(one, asked)["a"].tokens == new.tokens


def test_weights_of_another_shape_and_a_time_when_requests_run_are_refused():
    one = engine()
    with pytest.raises(ConfigError, match="of a model with layers 3; this engine's has 2"):
        one.hand_over(LiveWeights(trained(1, layers=3)), version="1")
    one.add(ask("a", STORY, 5))
    with pytest.raises(EngineError, match="1 requests run: weights are handed over when they have ended"):
        one.hand_over(LiveWeights(trained(1)), version="1")
    while one.busy:
        one.step()
    assert one.version == ""


@pytest.mark.parametrize("backend", BACKENDS)
def test_weights_that_cannot_be_had_change_nothing(backend):
    one = engine(backend=backend)
    asked = ask("a", STORY, 8, temperature=0.0, ignore_eos=True)
    before = run(one, asked)["a"].tokens

    class Damaged(LiveWeights):
        def tensors(self):
            yield next(super().tensors())
            raise ArtifactError("tensor 2 is damaged")

    with pytest.raises(ArtifactError, match="tensor 2 is damaged"):
        one.hand_over(Damaged(trained(5)), version="1")
    assert run(one, asked)["a"].tokens == before and one.version == ""

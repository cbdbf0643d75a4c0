"""An embedding is the mean of the model's hidden states, however its prompt is cut and whoever is beside it."""

import numpy as np
import pytest
import torch
from support import BACKENDS, FAMILIES, ask, engine, run

from creuset.core.errors import RequestError
from creuset.model.attention import Packed
from creuset.testing import tiny_config, tiny_model, tiny_tokenizer
from creuset.types.generation import GenerationRequest, Sampling

TEXTS = (
    "The cat sat on the mat. The dog ran to the river, and the cat ran after the dog.",
    "Où est l'école ?",
    "A river is a large stream of water. Water flows from the mountain to the sea. " * 3,
)


def embeds(id, text):
    return GenerationRequest(
        id=str(id), prompt=tiny_tokenizer().encode(text), sampling=Sampling(max_tokens=0), whole=True, embeds="mean"
    )


def vector(event):
    assert event.finish == "length" and event.embedding is not None
    return np.frombuffer(event.embedding, dtype="<f4")


def definition(text, family="qwen3_moe"):
    """What torch says of the whole text at once."""
    tokenizer = tiny_tokenizer()
    model = tiny_model(tiny_config(family, vocab_size=tokenizer.vocab_size))
    ids = tokenizer.encode(text)
    with torch.no_grad():
        hidden_TC = model(torch.tensor(ids), torch.arange(len(ids)), Packed([len(ids)]))
    mean_C = hidden_TC.double().mean(0)
    return (mean_C / mean_C.norm()).numpy()


def found(one, *requests):
    """The last event of each request."""
    for request in requests:
        one.add(request)
    last = {}
    while one.busy:
        last |= {event.id: event for event in one.step() if event.finish}
        one.check()
    return last


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_it_is_the_mean_hidden_state_after_the_final_norm(backend, family):
    told = found(engine(family, backend=backend), *(embeds(at, text) for at, text in enumerate(TEXTS)))
    for at, text in enumerate(TEXTS):
        assert vector(told[str(at)]) == pytest.approx(definition(text, family), abs=2e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_it_depends_on_nothing_but_its_text(backend):
    alone = found(engine(backend=backend), embeds("e", TEXTS[2]))["e"].embedding
    crowd = [
        embeds("e", TEXTS[2]),
        embeds("f", TEXTS[2]),
        *(ask(i, text, max_tokens=9) for i, text in enumerate(TEXTS)),
    ]
    cut = engine(backend=backend, max_batch_tokens=16, max_running=8)
    assert found(cut, *crowd)["e"].embedding == alone
    assert found(cut, embeds("e", TEXTS[2]))["e"].embedding == alone  # its prompt is in the prefix cache by now
    tight = engine(backend=backend, kv_tokens=160, block_size=16, max_batch_tokens=32)
    told = found(tight, *(ask(i, TEXTS[1], max_tokens=60) for i in range(3)), embeds("e", TEXTS[2]))
    assert told["e"].embedding == alone and tight.stats()["preemptions"] > 0


def test_embeddings_do_not_change_what_is_said_beside_them():
    plain = run(engine(), ask("a", TEXTS[0], temperature=1.0, seed=3))["a"]
    beside = run(engine(), embeds("e", TEXTS[2]), ask("a", TEXTS[0], temperature=1.0, seed=3), embeds("f", TEXTS[1]))
    assert (plain.text, plain.tokens) == (beside["a"].text, beside["a"].tokens)


def test_one_that_is_cancelled_or_damaged_ends_alone():
    one = engine(max_batch_tokens=16, max_running=4)
    one.add(embeds("long", TEXTS[2]))
    one.step()
    one.cancel("long")
    (event,) = one.step()
    assert (event.finish, event.embedding) == ("cancelled", None)
    word = tiny_tokenizer().encode(TEXTS[1])[0]
    told = found(engine(damaged=word), embeds("bad", TEXTS[1]), embeds("good", "The cat"))
    assert told["bad"].finish == "error" and "has no embedding" in told["bad"].error and told["bad"].embedding is None
    assert told["good"].finish == "length" and np.isfinite(vector(told["good"])).all()


def test_nothing_is_written_behind_a_text_that_is_embedded():
    with pytest.raises(RequestError, match="a prompt alone, got max_tokens 3"):
        GenerationRequest(id="x", prompt=[1], sampling=Sampling(max_tokens=3), embeds="mean")

import asyncio
import shutil

import numpy as np
import pytest

from creuset.engine.engine import Engine
from creuset.evals.clients.local import LocalClient, continuation
from creuset.evals.model import Failure, GenerateRequest, Likelihood, LoglikelihoodRequest, Reply
from creuset.model.score import Reading, log_likelihoods
from creuset.text.chat import encode_chat
from creuset.types.generation import GenerationRequest, Sampling

PAIRS = [
    LoglikelihoodRequest("The cat sat on", " the mat"),
    LoglikelihoodRequest("The cat sat on", " a river, and the dog ran after it"),
    LoglikelihoodRequest("", "What is a river?"),
    LoglikelihoodRequest("What is", ""),
    LoglikelihoodRequest("", ""),
    LoglikelihoodRequest("Le chat est sur la tab", "le. La rivière coule."),
    LoglikelihoodRequest("The dog ran to the river. " * 12, " the sea"),
]


@pytest.fixture
def subject(folder):
    subject = LocalClient(folder)
    yield subject
    asyncio.run(subject.close())


def test_likelihoods_are_the_models_own_however_they_are_batched(subject, model, tokenizer):
    together = asyncio.run(subject.loglikelihood(PAIRS))

    async def apart():
        return [(await subject.loglikelihood([pair]))[0] for pair in PAIRS]

    alone = asyncio.run(apart())
    for pair, found, again in zip(PAIRS, together, alone, strict=True):
        assert isinstance(found, Likelihood) and isinstance(again, Likelihood)
        ids, scored = continuation(tokenizer, pair.context, pair.continuation)
        over = max(0, len(ids) - 1 - model.config.context)
        assert found.cut == (over > 0)
        assert found.total == pytest.approx(again.total, abs=1e-5)
        if not pair.context + pair.continuation:
            assert found.total == 0.0 and found.tokens == 0
            continue
        ((_, values, best),) = log_likelihoods(model, [Reading(np.array(ids[over:]), scored - over)])
        assert found.token_logprobs == pytest.approx(values, abs=1e-5) and found.greedy == best.all()
        assert found.tokens == len(values) and found.total == pytest.approx(sum(found.token_logprobs))


def test_questions_that_come_together_are_computed_together(subject):
    sizes = []
    score = subject._score
    subject._score = lambda pairs: sizes.append(len(pairs)) or score(pairs)

    async def play():
        await asyncio.gather(*(subject.loglikelihood([pair, pair]) for pair in PAIRS))

    asyncio.run(play())
    assert sizes == [2 * len(PAIRS)]


def test_prefix_off_leaves_the_end_of_document_out(folder, model, tokenizer):
    subject = LocalClient(folder, prefix=False)
    (found,) = asyncio.run(subject.loglikelihood(PAIRS[:1]))
    asyncio.run(subject.close())
    ids, scored = continuation(tokenizer, PAIRS[0].context, PAIRS[0].continuation, prefix=False)
    ((_, values, _),) = log_likelihoods(model, [Reading(np.array(ids), scored)])
    assert found.total == pytest.approx(values.sum(), abs=1e-5) and tokenizer.endoftext not in ids


def test_generation_is_the_engines_and_greedy(subject, folder, tokenizer):
    messages = ({"role": "user", "content": "What is a river?"},)
    asks = [
        GenerateRequest(messages=messages, max_tokens=8),
        GenerateRequest(prompt="The cat", max_tokens=9),
        GenerateRequest(prompt="The cat", max_tokens=9, stop=("a", "e")),
        GenerateRequest(prompt="The dog", max_tokens=500),
    ]
    told = {}
    replies = asyncio.run(subject.generate(asks, lambda at, outcome: told.update({at: outcome})))
    assert [told[i] for i in range(4)] == replies and all(isinstance(r, Reply) for r in replies)
    assert replies[0].prompt_tokens == len(encode_chat(tokenizer, messages, add_generation_prompt=True).ids)
    engine = Engine.load(folder)
    sampling = Sampling(max_tokens=9, temperature=0)
    engine.add(GenerationRequest(id="x", prompt=tokenizer.encode("The cat"), sampling=sampling))
    text = ""
    while engine.busy:
        text += "".join(e.text for e in engine.step())
    assert replies[1].text == text and replies[1].completion_tokens <= 9
    cut = min((text.find(s) for s in "ae" if s in text), default=len(text))
    assert replies[2].text == text[:cut]
    # Little room gives a short answer: 48 tokens of context hold prompt and answer.
    assert replies[3].prompt_tokens + replies[3].completion_tokens <= 48


def test_what_cannot_be_asked_is_a_failure_beside_the_others(subject):
    asks = [
        GenerateRequest(prompt="The dog ran. " * 40),
        GenerateRequest(prompt="The cat", max_tokens=2),
        GenerateRequest(prompt="half \ud800"),
    ]
    long, good, broken = asyncio.run(subject.generate(asks))
    assert isinstance(long, Failure) and long.reason == "context_length" and "48" in long.detail
    assert isinstance(good, Reply) and isinstance(broken, Failure) and broken.reason == "refused_400"
    bad, fine = asyncio.run(subject.loglikelihood([LoglikelihoodRequest("a", "\ud800"), PAIRS[0]]))
    assert isinstance(bad, Failure) and isinstance(fine, Likelihood)


def test_identity_tells_models_and_settings_apart(folder):
    one, other = LocalClient(folder), LocalClient(folder, prefix=False)
    assert one.identity()["name"] == "tiny" and one.identity()["files"] and one.identity() != other.identity()


@pytest.mark.parametrize("first", ["likelihoods", "words"])
def test_the_weights_are_read_once_for_both(folder, tmp_path, first):
    """Whatever is asked first: what is asked next does not need the file any more, and says the same."""
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    pairs = [LoglikelihoodRequest("The cat sat on", " the mat"), LoglikelihoodRequest("The dog " * 20, "ran")]
    asks = [GenerateRequest(prompt="The cat", max_tokens=8)]

    async def both(path, remove):
        subject = LocalClient(path)
        found = {}
        try:
            for what in (first, "words" if first == "likelihoods" else "likelihoods"):
                ask = subject.loglikelihood(pairs) if what == "likelihoods" else subject.generate(asks)
                found[what] = await ask
                for file in path.glob("*.safetensors") if remove else ():
                    file.unlink()
            return found["likelihoods"], found["words"][0].text
        finally:
            await subject.close()

    likelihoods, said = asyncio.run(both(copy, True))
    assert not list(copy.glob("*.safetensors"))
    want = asyncio.run(LocalClient(folder).loglikelihood(pairs))
    assert [found.total for found in likelihoods] == pytest.approx([one.total for one in want], abs=1e-4)
    assert said == asyncio.run(LocalClient(folder).generate(asks))[0].text

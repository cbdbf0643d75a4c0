import pytest
import torch

from creuset.core.errors import ConfigError, DataError
from creuset.evals.choice import answer, continuation
from creuset.evals.tasks import TASKS, Item, find, read
from creuset.model.attention import Packed

CONTEXTS = {
    "arc_easy": ("Question: What is ice?\nAnswer:", (" water", " stone", " air"), 0),
    "boolq": ("Passage: Ice melts.\nQuestion: does ice melt?\nAnswer:", (" no", " yes"), 1),
    "hellaswag": ("Cooking: A man cooks. He then", (" eats it.", " flies away."), 0),
    "piqa": ("Question: Boil an egg.\nAnswer:", (" use hot water", " use a bowl of sand"), 0),
}


@pytest.mark.parametrize("name", CONTEXTS)
def test_items_are_shown_as_the_reference_harness_shows_them(name, bench):
    (item,) = read(TASKS[name], find(TASKS[name], bench))
    assert item == Item(*CONTEXTS[name])


def test_a_broken_file_is_refused_with_its_line(bench):
    file = find(TASKS["arc_easy"], bench)
    good = file.read_text()
    for line, words in (("{", "line 2 is not JSON"), ("[1]", "line 2 is a JSON list"), ("{}", "line 2 is not an item"),
                        (good.replace('"gold": 0', '"gold": 3'), "the answer is 3, there are 3 choices")):
        file.write_text(good + line + "\n")
        with pytest.raises(DataError, match=words):
            list(read(TASKS["arc_easy"], file))
    questions = find(TASKS["piqa"], bench)
    labels = questions.with_name("valid-labels.lst")
    labels.write_text("0\n1\n")
    with pytest.raises(DataError, match="has 2 answers"):
        list(read(TASKS["piqa"], questions))
    labels.unlink()
    with pytest.raises(DataError, match="is missing"):
        list(read(TASKS["piqa"], questions))
    with pytest.raises(ConfigError, match="does not exist"):
        find(TASKS["arc_challenge"], bench)


def test_a_choice_is_scored_from_its_first_token(tokenizer):
    ids, scored = continuation(tokenizer, "What is ice? Answer:", " water")
    assert ids[0] == tokenizer.endoftext
    assert tokenizer.decode(ids[1 + scored :]) == " water"
    assert tokenizer.decode(ids[1 : 1 + scored]) == "What is ice? Answer:"


def test_a_choice_always_keeps_a_token(tokenizer):
    # Both ends may join into one token; something must be left to score.
    for context, choice in (("riv", "er"), ("a", "b"), ("", "x")):
        ids, scored = continuation(tokenizer, context, choice)
        assert 0 <= scored < len(ids) - 1


def test_the_likelier_choice_is_the_answer_whatever_the_order(model, tokenizer):
    item = Item("A river is", (" water", " the dog"), 0)
    turned = Item(item.context, item.choices[::-1], 1)
    (first,), (second,) = answer(model, tokenizer, [item], context=48), answer(model, tokenizer, [turned], context=48)
    assert first.log_likelihoods == pytest.approx(second.log_likelihoods[::-1], abs=1e-5)
    assert item.choices[first.choice] == turned.choices[second.choice]
    alone = answer(model, tokenizer, [Item("x", (" y", " z"), 0)] * 3 + [item], context=48)[3]
    assert alone.log_likelihoods == pytest.approx(first.log_likelihoods, abs=1e-5)


def test_a_context_that_does_not_fit_loses_its_beginning(model, tokenizer):
    long = Item("The cat sat on the mat. " * 20 + "A river is", (" water", " the dog"), 0)
    (found,) = answer(model, tokenizer, [long], context=16)
    assert found.cut
    ids, _ = continuation(tokenizer, long.context, " water")
    assert len(ids) - 1 > 16
    tail = tokenizer.decode(ids[-17:])
    assert tail.endswith("A river is water")
    huge = Item("x", (" " + "water " * 40, " dog"), 1)
    assert answer(model, tokenizer, [huge], context=16)[0].cut


def test_without_the_prefix_the_context_begins_the_sequence(model, tokenizer):
    ids, scored = continuation(tokenizer, "A river is", " water", prefix=False)
    assert tokenizer.decode(ids) == "A river is water" and tokenizer.decode(ids[scored + 1 :]) == " water"
    assert continuation(tokenizer, "", "water", prefix=False)[0][0] == tokenizer.endoftext
    item = Item("A river is", (" water", " the dog"), 0)
    (plain,) = answer(model, tokenizer, [item], context=48, prefix=False)
    with torch.inference_mode():
        logits = model.logits(model(torch.tensor(ids[:-1]), torch.arange(len(ids) - 1), Packed([len(ids) - 1])))
    chosen = logits.log_softmax(-1).gather(1, torch.tensor(ids[1:])[:, None])[scored:]
    assert plain.log_likelihoods[0] == pytest.approx(float(chosen.sum()), abs=1e-4)

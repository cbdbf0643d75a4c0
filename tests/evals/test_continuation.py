import pytest

from creuset.benchmarks.catalogue import make
from creuset.core.errors import DataError
from creuset.evals.clients.local import continuation

CONTEXTS = {
    "arc_easy": ("Question: What is ice?\nAnswer:", (" water", " stone", " air"), 0),
    "boolq": ("Passage: Ice melts.\nQuestion: does ice melt?\nAnswer:", (" no", " yes"), 1),
    "hellaswag": ("Cooking: A man cooks. He then", (" eats it.", " flies away."), 0),
    "piqa": ("Question: Boil an egg.\nAnswer:", (" use hot water", " use a bowl of sand"), 0),
}


@pytest.mark.parametrize("name", CONTEXTS)
def test_items_are_shown_as_the_reference_harness_shows_them(name, bench):
    (sample,) = make(name).samples(bench)
    context, choices, gold = CONTEXTS[name]
    assert [(p.context, p.continuation) for p in sample.pairs] == [(context, choice) for choice in choices]
    assert sample.gold["gold"] == gold


def test_answers_in_a_file_of_their_own_must_be_as_many(bench):
    labels = bench / "piqa" / "valid-labels.lst"
    labels.write_text("0\n1\n")
    with pytest.raises(DataError, match="has 2 answers"):
        list(make("piqa").samples(bench))
    labels.unlink()
    with pytest.raises(DataError, match="is missing"):
        list(make("piqa").samples(bench))


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


def test_without_the_prefix_the_context_begins_the_sequence(tokenizer):
    ids, scored = continuation(tokenizer, "A river is", " water", prefix=False)
    assert tokenizer.decode(ids) == "A river is water" and tokenizer.decode(ids[scored + 1 :]) == " water"
    assert continuation(tokenizer, "", "water", prefix=False)[0][0] == tokenizer.endoftext

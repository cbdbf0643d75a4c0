import random
import re

import pytest

from creuset.core.errors import DataError
from mini_instructions import talk
from mini_instructions.talk import COUNTS, read_table, table


@pytest.mark.parametrize("name", COUNTS)
def test_every_table_reads_and_every_answer_is_a_sentence(name):
    for block in table(name):
        for step in block.steps:
            assert all(ask for ask in step.asks)
            for answer in step.answers:
                assert re.search(r"[.!?:\"»)]$|Best regards$", answer.strip()) or "\n" in answer, answer
                assert len(answer.split()) < 60


@pytest.mark.parametrize("name", ["identity.en", "identity.fr"])
def test_it_says_it_is_an_ai_called_creuset_mini_and_never_somebody_else(name):
    for block in table(name):
        asks, answers = " ".join(block.steps[0].asks), " ".join(block.steps[0].answers)
        if re.search(r"^(?:Are you|Es-tu) (?:an? )?(?:ChatGPT|Qwen|Claude|human|humain)\b", asks):
            assert all(a.startswith(("No", "Non")) for a in block.steps[0].answers), asks
        assert not re.search(r"I am (?:ChatGPT|Qwen|Claude|a human|a person)|Je suis (?:ChatGPT|Qwen|humain)", answers)
    whole = " ".join(a for b in table(name) for s in b.steps for a in s.answers)
    assert "creuset mini" in whole


def test_dangerous_requests_are_refused():
    for block in table("limits.en"):
        if re.search(r"bomb|kill|hack|drugs\?|steal", " ".join(block.steps[0].asks)):
            assert all(re.search(r"cannot|will not|No,", answer) for answer in block.steps[0].answers), block.steps[
                0
            ].asks


def test_one_name_is_kept_through_a_conversation():
    blocks = [b for b in table("smalltalk.en") if "{n}" in b.steps[0].asks[0] and len(b.steps) > 1]
    assert blocks
    for seed in range(20):
        texts = talk.say(random.Random(seed), blocks[0])
        name = re.search(r"(?:Hello|meet you,) (\w+)!", texts[1])[1]
        assert name.lower() in texts[0].lower() and name in texts[3]


def test_nothing_is_left_open():
    for rule in talk.RULES:
        for made in rule.make(None, random.Random(4), 300):
            assert not any(re.search(r"[{}\[\]]|  ", turn.content) for turn in made.turns), made


def test_a_table_with_a_stray_line_or_a_lone_question_is_refused():
    with pytest.raises(DataError, match="t:2"):
        read_table("? Hi\nHello\n", "t")
    with pytest.raises(DataError, match="no answer"):
        read_table("? Hi\n\n? Bye\n> Bye!\n", "t")

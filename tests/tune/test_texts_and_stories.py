import json
import random
import re

from tune_material import AFRICAN, LEVELS, TINY, shelf

from mini_instructions import levels, ready, stories, sums, texts
from mini_instructions.base import Dialogue, Refused


def test_answers_are_copied_from_the_text_or_the_text_is_silent():
    for seed in range(200):
        dialogue = texts.find(random.Random(seed))
        question, answer = dialogue.turns[0].content, dialogue.answers[0]
        if "does not say" in answer:
            continue
        for word in re.findall(r"[A-Z]\w+|\d+", answer):
            if word not in ("They", "The", "I"):
                assert word in question, (question, answer)


def test_true_statements_stand_in_the_text_and_false_ones_do_not():
    for seed in range(200):
        dialogue = texts.yes_no(random.Random(seed))
        question, answer = dialogue.turns[0].content, dialogue.answers[0]
        said = re.search(
            r"(?:Is this true\?|True or false:|Does the text say this\?) ([^\n]+?\.)(?:$|\n|  )", question
        )[1]
        text = question.replace(said, "", 1) if question.index(said) == question.rindex(said) else question
        assert answer.startswith(("Yes", "True")) == (question.count(said) > 1), (question, answer, text)


def test_json_answers_parse_and_hold_what_the_text_says():
    parsed = 0
    for seed in range(100):
        dialogue = texts.as_json(random.Random(seed))
        if dialogue.answers[0].startswith("{"):
            parsed += 1
            for value in json.loads(dialogue.answers[0]).values():
                assert str(value) in dialogue.turns[0].content
    assert parsed > 20


def test_sentences_of_two_levels_are_paired_by_their_words():
    found = list(levels.pairs(LEVELS["adv"], LEVELS["ele"]))
    assert found and all(hard in LEVELS["adv"] and easy in LEVELS["ele"] for hard, easy in found)


def test_a_story_is_found_by_what_it_is_about(tmp_path):
    assert stories.subject(TINY) == "a dog" and stories.hero(TINY) == "a girl named Mia"
    made = [d for d in stories.from_tiny(shelf(tmp_path), random.Random(0), 10) if isinstance(d, Dialogue)]
    assert made and all(d.answers[0] == TINY for d in made)
    made = [d for d in stories.from_african("en", shelf(tmp_path), random.Random(0), 10) if isinstance(d, Dialogue)]
    assert made and made[0].source.endswith("A. Writer") and made[0].answers[0] in AFRICAN


def test_the_hero_that_was_asked_for_is_in_the_story():
    for lang in ("en", "fr"):
        for dialogue in stories.from_plots(lang, None, random.Random(1), 80):
            question, story = dialogue.turns[0].content.lower(), dialogue.answers[0].lower()
            for kind in stories.HEROES[lang]:
                noun = kind.split()[-1]
                if re.search(rf"\b{noun}\b", question):
                    assert noun in story
            assert not re.search(r"[{}\[\]]|\ba [aeiou]", story)


def test_the_rest_of_a_story_is_no_story():
    assert stories.fault("Then he went home. " * 20) == "does not open like a story"
    assert stories.fault("Once upon a time there was a cat.") == "story too short"
    assert stories.mended("Itâ€™s here") == "It's here"


def test_prefix_equations_become_steps():
    assert sums.steps("- + 3.0 4.0 2.0")[0] == ["3 + 4 = 7", "7 - 2 = 5"]
    assert sums.steps("/ 1 3") is None and sums.steps("+ 1") is None


def test_a_problem_whose_answer_differs_from_its_equation_is_refused(tmp_path):
    made = list(sums.from_mawps(shelf(tmp_path), random.Random(0), 10))
    assert made[0].answers == ["3 + 4 = 7. The answer is 7."] and made[0].turns[0].content.startswith(
        "Tom has 3 apples and buys 4. How many"
    )
    assert made[1] == Refused("equation and answer differ")


def test_code_in_ready_made_answers_is_refused_and_the_rest_is_kept(tmp_path):
    rule = next(r for r in ready.RULES if r.name == "ready_rasbt")
    made = list(rule.make(shelf(tmp_path), random.Random(0), 10))
    assert isinstance(made[0], Dialogue) and made[1] == Refused("markup, code or another script")

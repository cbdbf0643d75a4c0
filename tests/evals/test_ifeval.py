"""Each kind of instruction with a reply that follows it and one that does not; readings; the French set."""

import json

import pytest

from creuset.benchmarks.instructions.ifeval import Ifeval, IfevalFr
from creuset.benchmarks.instructions.ifeval_check import CHECKS, follows, language, loosened, sentences
from creuset.core.errors import DataError
from creuset.evals.model import Failure, Reply

LONG_EN = "the river runs through the old town and everyone who lives there knows its sound very well"
LONG_FR = "la rivière traverse la vieille ville et tous ceux qui y habitent connaissent très bien son bruit"

CASES = [
    ("keywords:existence", {"keywords": ["Rome", "sea"]}, "rome by the SEA", "rome only", "en"),
    ("keywords:frequency", {"keyword": "cat", "relation": "at least", "frequency": 2}, "cat cats", "one cat", "en"),
    ("keywords:frequency", {"keyword": "chat", "relation": "moins de", "frequency": 2}, "un chat", "chat chat", "fr"),
    ("keywords:forbidden_words", {"forbidden_words": ["sel"]}, "du selfie", "du sel.", "fr"),
    ("keywords:letter_frequency", {"letter": "Z", "let_relation": "at least", "let_frequency": 2}, "zZ", "z", "en"),
    ("language:response_language", {"language": "fr"}, LONG_FR, LONG_EN, "en"),
    (
        "length_constraints:number_sentences",
        {"relation": "less than", "num_sentences": 3},
        "A one. A two.",
        "One. Two. Three.",
        "en",
    ),
    ("length_constraints:number_words", {"relation": "at least", "num_words": 3}, "one, two three", "one two", "en"),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "a\n***\nb\n***\n", "a ***\n*** b", "en"),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "soudain"},
        'Un.\n\n"Soudain, deux.',
        "Soudain.\n\nDeux.",
        "fr",
    ),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[a] and [b]", "[a]", "en"),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Bye.\nP. S. more", "Bye. PS more", "en"),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "Bye.\np.p.s more", "Bye.\nP.S. more", "en"),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "* a\n - b\n", "* a\n* b\n* c", "en"),
    ("detectable_format:constrained_response", {}, "My answer is maybe.", "Maybe.", "en"),
    ("detectable_format:constrained_response", {}, "Ma réponse est non.", "My answer is no.", "fr"),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "*a* and **b**", "*a* and **", "en"),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": "PARTIE", "num_sections": 2},
        "PARTIE 1\nx\nPARTIE 2",
        "PARTIE un PARTIE 2",
        "fr",
    ),
    ("detectable_format:json_format", {}, '```json\n{"a": 1}\n```', "{a: 1}", "en"),
    ("detectable_format:title", {}, "<<A title>>\ntext", "<< >>", "en"),
    ("combination:two_responses", {}, "one\n******\ntwo", "one\n******\none", "en"),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Say it."}, "say it. It.", "It. Say it.", "en"),
    ("startend:end_checker", {"end_phrase": "The end."}, 'So. "the end."', "The end. So.", "en"),
    (
        "change_case:capital_word_frequency",
        {"capital_relation": "at least", "capital_frequency": 2},
        "A BIG day",
        "One BIG day",
        "en",
    ),
    ("change_case:english_capital", {}, LONG_EN.upper(), LONG_EN.capitalize(), "en"),
    ("change_case:english_lowercase", {}, LONG_EN, LONG_FR, "en"),
    ("change_case:french_capital", {}, LONG_FR.upper(), LONG_FR, "fr"),
    ("change_case:french_lowercase", {}, LONG_FR, LONG_FR.capitalize(), "fr"),
    ("punctuation:no_comma", {}, "none here", "one, here", "en"),
    ("startend:quotation", {}, ' "all of it" ', '"half" of it', "en"),
    ("startend:quotation", {}, "« tout »", "« un » peu", "fr"),
]


@pytest.mark.parametrize(("kind", "asked", "good", "bad", "lang"), CASES, ids=[f"{c[0]}-{c[4]}" for c in CASES])
def test_a_reply_follows_or_does_not(kind, asked, good, bad, lang):
    assert follows(kind, good, asked, lang) and not follows(kind, bad, asked, lang)
    assert not follows(kind, " \n", asked, lang), "an empty reply follows nothing"


def test_every_kind_has_its_case():
    assert {case[0] for case in CASES} == set(CHECKS)


@pytest.mark.parametrize(("text", "count"), [
    ("Dr. Smith paid 3.50 at noon. He left!", 2), ("Is it? Yes... it is. No.", 3), ("all small. so it is.", 2),
    ("M. Dupont est là. Il part.", 2),
    ("One line\n\nTwo line", 2), ("He said \"Stop.\" Then he ran.", 2), ("", 0), ("今日は晴れ。明日は雨。", 2),
])  # fmt: skip
def test_sentences_are_split_at_their_ends(text, count):
    assert len(sentences(text)) == count, sentences(text)


def test_languages_are_told_apart():
    assert [language(t) for t in (LONG_EN, LONG_FR)] == ["en", "fr"]


def test_loose_readings_drop_lines_and_asterisks():
    assert loosened("Yes:\n*a*\nBye") == [
        "Yes:\n*a*\nBye", "*a*\nBye", "Yes:\n*a*", "*a*", "Yes:\na\nBye", "a\nBye", "Yes:\na", "a"]  # fmt: skip


@pytest.fixture
def bench(tmp_path):
    (tmp_path / "ifeval").mkdir()
    rows = [
        {"key": 1, "prompt": "Say it in quotes, no comma.",
         "instruction_id_list": ["en:startend:quotation", "punctuation:no_comma"], "kwargs": [{}, {"x": None}]},
        {"key": 2, "prompt": "Two bullets.", "instruction_id_list": ["en:detectable_format:number_bullet_lists"],
         "kwargs": [{"num_bullets": 2}]},
    ]  # fmt: skip
    (tmp_path / "ifeval/en_input_data.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    return tmp_path


def test_scores_of_prompts_and_of_instructions_strict_and_loose(bench):
    task = Ifeval()
    first, second = task.samples(bench)
    rows = [
        task.score(first, [Reply(text='Sure!\n"it is so"', finish="stop")]),
        task.score(second, [Failure(reason="timeout")]),
    ]
    found = {m.metric: m for m in task.measures(rows)}
    assert {m: found[m].score for m in found} == {
        "prompt_strict": 0, "instruction_strict": pytest.approx(1 / 3), "prompt_loose": 0.5,
        "instruction_loose": pytest.approx(2 / 3),
    }  # fmt: skip
    assert found["prompt_strict"].denominator == 2 and found["prompt_strict"].n == 1
    assert found["instruction_strict"].denominator == 3 and found["prompt_strict"].failed == 1


def test_an_unknown_instruction_is_named_with_its_line(bench):
    file = bench / "ifeval/en_input_data.jsonl"
    file.write_text(file.read_text().replace("number_bullet_lists", "number_of_bullets"))
    with pytest.raises(DataError, match=r"line 2 is not an item of ifeval.*number_of_bullets"):
        list(Ifeval().samples(bench))


def test_the_french_set_is_whole_and_can_be_followed(tmp_path):
    task = IfevalFr()
    samples = {s.id: s for s in task.samples(tmp_path)}
    assert len(samples) >= 40 and {k for s in samples.values() for k, _ in s.gold} >= {
        "change_case:french_lowercase",
        "combination:repeat_prompt",
        "startend:end_checker",
    }
    good = {
        "fr-01": "Le ciel est bleu car l'air disperse mieux la lumière bleue.",
        "fr-04": "* Fermez le robinet.\n* Prenez des douches courtes.\n* Réparez les fuites.",
        "fr-18": "Ma réponse est oui.",
        "fr-32": "Les feuilles tombent.\n\nSoudain le vent se lève.\n\nPuis vient l'hiver.",
        "fr-40": "Travaillez chaque jour. Courage, cela vient avec le temps.",
        "fr-44": "We need sleep because the body and the mind have to rest and to repair themselves every night.",
        "fr-49": "Écrivez quatre lignes sur la rosée du matin.\nElle brille.",
    }  # fmt: skip
    for id, text in good.items():
        assert task.score(samples[id], [Reply(text=text, finish="stop")])["correct"] == 1, id
        assert task.score(samples[id], [Reply(text="Non, merci, « rien » ici", finish="stop")])["correct"] == 0, id

"""Records, pages, repairs, languages, ledgers: the parts that a document passes first."""

import json
import time

import pytest
from sources_for_tests import FRENCH, english

from creuset.core.errors import ConfigError, DataError
from creuset.core.personal import mask
from creuset.data import ledger
from creuset.data.clean.filters import drop_lines
from creuset.data.clean.language import Guess, Identifier, settle
from creuset.data.clean.repair import repair
from creuset.data.clean.words import Splitter
from creuset.data.read.html import ReadablePage, all_text
from creuset.data.read.main_text import page_of
from creuset.data.read.sources import plan
from creuset.data.settings import Corpus, Privacy


def test_a_page_becomes_paragraphs_without_its_furniture():
    page = all_text(
        "<!doctype html><title>A &amp; B</title><nav><a>Home</a></nav><h1>One</h1><p>First <b>bold</b>\n line."
        "<p>Second&nbsp;one.<ul><li>x<li>y</ul><script>if (a < b) {}</script><pre>  keep\n   this</pre>"
        "<table><tr><td>1<td>2</table><footer>end</footer>"
    )
    assert page.title == "A & B"
    assert page.text == "One\n\nFirst bold line.\n\nSecond one.\n\nx\ny\n\n  keep\n   this\n\n1 2"


def test_a_page_is_read_in_the_charset_it_declares():
    russian = '<meta charset="koi8-r"><p>Все люди рождаются свободными и равными.'
    assert page_of(russian.encode("koi8-r")) == (ReadablePage("", "Все люди рождаются свободными и равными."), "koi8-r")
    assert page_of("<p>été".encode("latin-1")) == (ReadablePage("", "été"), "cp1252")
    assert page_of("<p>été".encode("latin-1"), "utf-8")[0].text == "été", "a header may be wrong"


@pytest.mark.parametrize(
    ("how", "before", "after"),
    [
        ("none", "a\r\nb \n\n\n\nc\u200b\x00 e\u0301", "a\nb\n\nc é"),
        ("wiki", "Albedo () (, meaning \"whiteness\") is it.", 'Albedo (meaning "whiteness") is it.'),
        ("wiki", "楊任（），為東漢", "楊任，為東漢"),
        ("wiki", "See [[Paris|the city]] and [[Rome]].[[File:x.jpg|thumb]]", "See the city and Rome."),
        ("wiki", "He died.\nEarly life.\nHe was born.", "He died.\nEarly life\nHe was born."),
        ("wiki", "He won.\n143||3||3\n! Total\nThe end.", "He won.\nThe end."),
        ("wiki", "It falls. Then formula_12 holds for it. It stops.", "It falls. It stops."),
        ("wiki", '"", a song. He sang "" in it. It was liked.', "a song. It was liked."),
        ("wiki", "A <ref name=x>b</ref> &lt;br&gt; c {{tpl|x}} d , e", "A b c d, e"),
        ("book", "It was _very_ late.\n\n* * *\n\na_b_c [Illustration: x]", "It was very late.\n\na_b_c"),
    ],
)  # fmt: skip
def test_repairs_take_out_what_extractors_leave(how, before, after):
    assert repair(before, how) == after


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (FRENCH, "fr"),
        (
            "The river runs through the city and the children play on the bridge, but it is cold in the garden today.",
            "en",
        ),
        (
            "Der Fluss fließt durch die Stadt und die Kinder spielen auf der Brücke, aber es ist kalt in dem Garten.",
            "de",
        ),
        ("象鼻管星雲是位於仙王座巨大的游離氣體區域內，距離地球約兩千光年的星際物質高度集中區域。", "zh"),
        ("川は町を流れ、子供たちは橋の上で遊んでいる。庭は寒いです。", "ja"),
        ("Река течёт через город, и дети играют на мосту, но сегодня в саду холодно.", "ru"),
    ],
)
def test_languages_are_told_apart_without_a_download(text, language):
    assert Identifier().identify(text, Splitter().split(text)).language == language


def test_a_guess_does_not_overrule_the_ledger_on_thin_evidence():
    def settled(guess, words, **fields):
        return settle(guess, words, **{"declared": (), "allowed": (), "min_probability": 0.8} | fields)

    assert settled(Guess("om", 0.6), [], declared=("en",)) == ("en", True)
    assert settled(Guess("km", 0.98), ["the", "of", *["x"] * 20], declared=("en",)) == ("en", True)
    assert settled(Guess("fr", 0.99), ["le"] * 20, declared=("en",)) == ("fr", False)
    assert settled(Guess("wuu", 0.9), [], declared=("zh",)) == ("zh", True)
    assert settled(Guess("de", 0.9), []) == ("de", True)
    assert settled(Guess("de", 0.9), [], allowed=("en", "fr")) == ("de", False)


def test_a_manifest_and_a_ledger_of_ours_are_merged_by_name(tmp_path):
    row = {
        "file": "pretrain/en_x.jsonl.xz",
        "licence": "MIT",
        "sources": [{"repo": "a/b", "commit": "c0"}],
        "languages": ["en"],
    }
    (tmp_path / "MANIFEST.json").write_text(json.dumps({"files": [row]}))
    (tmp_path / "more.toml").write_text('[[source]]\nname = "en_x"\nkind = "docs"\nnear_dedup = false\n')
    (source,) = ledger.read([tmp_path / "MANIFEST.json", tmp_path / "more.toml"])
    assert (source.licence, source.origin, source.kind, source.near_dedup) == ("MIT", "a/b@c0", "docs", False)
    assert source.languages == ("en",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not a ledger"),
        ("[1]", "neither `files` nor a list `source`"),
        ('{"source": [{"name": "x", "license": "MIT"}]}', "unknown field `license`"),
        ('{"source": [{"name": "x", "kind": "poem"}]}', "unknown kind `poem`"),
        ('{"files": [{"name": "x"}]}', "a row of `files` has no `file`"),
    ],
)
def test_a_ledger_that_is_none_is_refused_by_name(tmp_path, text, message):
    (tmp_path / "l.json").write_text(text)
    with pytest.raises(DataError, match=r"ledger") as refused:
        ledger.read([tmp_path / "l.json"])
    assert message in str(refused.value)


def test_rows_find_files_by_pattern_before_name(tmp_path):
    web = ledger.LedgerRow(name="web", licence="B", files=("dump/*.jsonl",))
    rows = [ledger.LedgerRow(name="part-0", licence="A"), web]
    for folder in ("dump", "other"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "part-0.jsonl").write_text(json.dumps({"text": english(1)}))
    made = plan([tmp_path], rows, Corpus())
    assert [(t.source, t.pieces[0].name) for t in made.tasks] == [
        ("web", "dump/part-0.jsonl"),
        ("part-0", "other/part-0.jsonl"),
    ]


def test_inputs_that_are_not_there_or_hold_nothing_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="does not exist"):
        plan([tmp_path / "nothing"], [], Corpus())
    with pytest.raises(ConfigError, match="there is nothing to read"):
        plan([tmp_path], [], Corpus())
    (tmp_path / "a.exe").touch()
    with pytest.raises(ConfigError, match="is not a file we read"):
        plan([tmp_path / "a.exe"], [], Corpus())


NASTY = [
    *(
        " ",
        "\t",
        ",",
        ", ",
        "(",
        "( , ",
        "()",
        "a",
        "A ",
        "1 ",
        "1.",
        "12-",
        "@a",
        "a@",
        "a.",
        "_",
        "_a",
        "* ",
        "[[",
        "{{",
    ),
    *("<", "<ref ", "||", '""', '. ""', "formula_1 ", "formula_1", ":", "a:", "+1 ", "Ab ", "é", "的"),
]


@pytest.mark.parametrize("piece", NASTY)
def test_no_text_makes_a_pattern_slow(piece):
    text = ('x formula_1 "" | {{ @ << 12345678 \n' + piece * 60_000)[:60_000] + "!"
    began = time.thread_time()
    for how in ("none", "wiki", "book"):
        repair(text, how)
    mask(text, Privacy().mask)
    drop_lines(text)
    assert time.thread_time() - began < 3.0  # what grows with the square takes minutes

"""Custom tools: the input is taken out of a call wherever it is cut, and its grammar holds inside a JSON string."""

import json
import random

import pytest

from creuset.core.errors import RequestError
from creuset.engine.answer.grammar import Grammars
from creuset.testing import tiny_tokenizer
from creuset.text import grammar
from creuset.text.calls.custom import InputReader
from creuset.text.calls.forced import ForcedTool, GrammarWriter
from creuset.text.calls.formats import HERMES
from creuset.text.calls.quoted import quoted_lark

INPUTS = ["", "ls -l", 'say "a\\b"\n\tand more', "été 🎉 \U0001f468‍👩", "a/b\b\f\r", "\u2028 nul \x00", '"}']


def read(arguments, cuts):
    reader, found, before = InputReader(), "", 0
    for cut in [*sorted(cuts), len(arguments)]:
        found += reader.push(arguments[before:cut])
        before = cut
    return found + reader.finish()


@pytest.mark.parametrize("ascii", [True, False])
@pytest.mark.parametrize("text", INPUTS)
def test_the_input_is_what_was_written_wherever_it_is_cut(text, ascii):
    chance = random.Random(len(text))
    for layout in (None, 2):
        arguments = json.dumps({"input": text}, ensure_ascii=ascii, indent=layout)
        assert read(arguments, range(len(arguments))) == text
        for _ in range(20):
            assert read(arguments, chance.choices(range(len(arguments) + 1), k=3)) == text


@pytest.mark.parametrize("arguments", ['{"other": 1}', "[1]", '{"inputs": "a"}', "ls", '{"input": 7}'])
def test_arguments_that_are_no_input_come_out_as_they_are(arguments):
    assert read(arguments, range(len(arguments))) == read(arguments, []) == arguments


def test_a_call_that_is_cut_gives_the_input_so_far():
    for text, said in [
        ('{"input": "ab', "ab"),
        ('{"input": "a\\', "a"),
        ('{"input": "\\ud83d', "\ufffd"),
        ('{"in', '{"in'),
    ]:
        assert read(text, range(len(text))) == said


def test_escapes_that_are_none_are_kept_and_halves_of_pairs_are_replaced():
    assert read('{"input": "\\ud83dx\\udf89\\uzzzz\\q"}', []) == "\ufffdx\ufffd\\uzzzzq"


SQL = r"""
start: stmt (";" stmt)*  // a comment with "quotes"
stmt: "SELECT " NAME " FROM \"" NAME "\"" (" WHERE " NAME "=" (STR | RAW))?
NAME: /[a-z_]\w{0,9}/
STR: /'[^'\n]*'/
RAW: "\\" ("a".."f" | /[\t\n"]/)
"""
SAME = [
    (SQL, ['SELECT a FROM "b"', 'SELECT a FROM "b";SELECT c_1 FROM "d"', "SELECT a FROM \"b\" WHERE c='\"\\é'",
           'SELECT a FROM "b" WHERE c=\\"', 'SELECT a FROM "b" WHERE c=\\\n', 'SELECT a FROM "b" WHERE c=\\f'],
     ["SELECT a FROM b", 'SELECT A FROM "b"', "SELECT a FROM \"b\" WHERE c='\n'", 'SELECT a FROM "b" WHERE c=f', ""]),
    (r"start: /[^a-z]+|(?:x|yy)*?z{2,3}/", ['"\\\n\t7É', "zz", "xyyxzzz"], ["a", "z", "xyzz", '"a']),
    (r"start: /\d+\/\s[^\S]./", ['12/\n\t"', "1/ \n\\"], ["12/", "1/ \n\n", "a/  b"]),
    (r"start: /[\s\S]{0,3}/", ['"\n\\', ""], ["abcd"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "fit", "others"), SAME)
def test_a_text_fits_inside_a_json_string_where_it_fits_outside(text, fit, others):
    tokenizer = tiny_tokenizer()
    grammars = Grammars(tokenizer, end_ids=[tokenizer.im_end], vocab_size=tokenizer.vocab_size)
    tool = ForcedTool("run", {}, "x", input=quoted_lark(text, param="x"))
    call = GrammarWriter(HERMES, {}).calls([tool], one=True, thought="none")

    def accepts(compiled, said):
        matcher, ids = grammars.compile(compiled).result().deep_copy(), tokenizer.encode(said)
        return matcher.try_consume_tokens(ids) == len(ids) and (matcher.is_accepting() or matcher.is_stopped())

    for said in (*fit, *others):
        arguments = json.dumps({"input": said}, ensure_ascii=False)
        whole = f'<tool_call>\n{{"name": "run", "arguments": {arguments}}}\n</tool_call>'
        assert accepts(grammar.lark(text), said) == accepts(call, whole) == (said in fit), said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("start: /^a/", "at has no reading there"),
        ("start: /(?=a)b/", "assert has no reading there"),
        ("start: /a/i", 'the flags "i"'),
        ("start: /(?i:a)/", "subpattern has no reading there"),
        ('start: "a\\nb"i', "a text whose case is free"),
        ('start: %json {"type": "string"}', "`%json`"),
        ("start: <|im_end|>", "`<|im_end|>`"),
        ("start: A & B", "`&`"),
        ("start: /\\p{L}/", "bad escape"),
        ("start: /[\\x00-\\x05]/", "control characters only"),
    ],
)
def test_what_has_no_reading_there_is_refused_with_its_place(text, words):
    with pytest.raises(RequestError) as refused:
        quoted_lark(text, param="tools[0].custom")
    assert refused.value.param == "tools[0].custom" and words in str(refused.value)

"""What no template and no text can do: make a control token of a message, run for ever, fill the memory."""

import copy
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from creuset.core.errors import RequestError
from creuset.text import sandbox
from creuset.text.sandbox import JinjaTemplate
from creuset.text.stream import Detokenizer
from creuset.text.tokenizer import Tokenizer
from tests.text.conversations import CLOCK, WEATHER, assistant, call, system, tool, user
from tests.text.families import by_transformers, of, ours, tokenizer
from tests.text.foreign import CONTROLS, TEMPLATES


def steering(mine: Tokenizer, ids: list[int]) -> list[int]:
    every = set(mine.special.values())
    return [id for id in ids if id in every]


def hostile(text: str, family: str) -> dict[str, Any]:
    """Everything that may come from outside, with `text` in it."""
    if family in ("llama3", "mistral"):  # one call a turn, ids of nine letters, which may be anything
        calls = [call("f", {"x": text, f"k{text}": [text]}, "abcdefghi")]
    else:
        calls = [call(f"f{text}", {"x": text, f"k{text}": [text]})]
    middle = [assistant("", tool_calls=calls), tool(f"{text} r", "abcdefghi"), assistant(f"b {text} c")]
    rest = [assistant(f"a {text}")] if family in ("llama2", "gemma") else middle
    described = copy.deepcopy(CLOCK)
    described["function"]["description"] = text
    described["function"]["parameters"]["properties"] = {f"p{text}": {"type": "string", "description": text}}
    first = [] if family == "gpt_oss" else [system(f"s {text}")]
    return {
        "messages": [*first, user(f"q {text}"), *rest, user(text)], "tools": [WEATHER, described],
        "add_generation_prompt": True, "documents": [{"title": text, "text": text}],
    }  # fmt: skip


@pytest.mark.parametrize("family", TEMPLATES)
def test_control_tokens_in_text_stay_text_and_nothing_else_changes(family):
    mine, template = tokenizer(family), ours(family)
    plain = steering(mine, template.encode(**hostile("word", family)).ids)
    for name in mine.special:
        if name == "<unk>":
            continue
        case = hostile(name, family)
        if family == "gpt_oss" and name == "<|channel|>":
            name = "<|start|>"  # this template refuses the other in an answer
        found = template.encode(**case)
        assert steering(mine, found.ids) == plain, name
        stream = Detokenizer(mine, special=True)
        streamed = "".join([*map(stream.push, found.ids), stream.finish()])
        assert streamed == mine.decode(found.ids)
        if family in ("qwen3", "smollm2", "llama3", "deepseek", "gpt_oss"):  # byte-level, and no spaces are eaten
            assert streamed == template.render(**case), name


PIECES = ["<", "|", ">", "<|", "|>", "im_end", "im_start", "<|im_", "end|>", "<|im_end|>", "<|IM_END|>",
          "</think>", "<think>", "\n", " ", "<tool_call>", "</tool_call>", "<tool_response>", "tool_response", "é",
          "👩‍👩", "\\", '"',
          "\U0010f000", "x"]  # fmt: skip


@settings(deadline=None, max_examples=150)
@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_any_mixture_of_pieces_stays_text(text):
    template, mine = ours("qwen3"), tokenizer("qwen3")
    case = {"messages": [system(text), user(text), assistant(f"x{text}", reasoning_content="r"), tool(text),
                         user(text)],
            "tools": [WEATHER], "add_generation_prompt": True}  # fmt: skip
    found = template.encode(**case)
    assert steering(mine, found.ids) == steering(mine, template.encode(
        messages=[system("s"), user("u"), assistant("x", reasoning_content="r"), tool("t"), user("u")],
        tools=[WEATHER], add_generation_prompt=True).ids)  # fmt: skip
    assert mine.decode(found.ids) == by_transformers("qwen3", **case)


@pytest.mark.parametrize("family", [family for family in TEMPLATES if family != "gpt_oss"])  # its date is today's
def test_any_mixture_of_a_familys_own_names_is_shown_as_transformers_shows_it(family):
    rng, mine, template = random.Random(family), tokenizer(family), ours(family)
    names = [name for name in mine.special if name != "<unk>"]
    parts = [*names, *(n[: len(n) // 2] for n in names), *(n[len(n) // 2 :] for n in names),
             *(n.strip("<>|[]/｜") for n in names), *(n.upper() for n in names), " ", "\n", "é", "<", ">", "|",
             "user"]  # fmt: skip
    ids = set(mine.special.values()) - {mine.special.get("<unk>")}

    def case(texts: list[str]) -> dict[str, Any]:
        messages = [user(texts[0]), assistant(texts[1]), user(f"{texts[2]}.")]
        return {"messages": messages, "add_generation_prompt": True, "tools": [WEATHER], "date_string": "d"}

    plain = len([id for id in template.encode(**case(["x", "y", "z"])).ids if id in ids])
    for _ in range(25):
        said = case(["".join(rng.choices(parts, k=rng.randint(1, 8))) for _ in range(3)])
        assert template.render(**said) == by_transformers(family, **said)
        assert len([id for id in template.encode(**said).ids if id in ids]) == plain, said


def test_a_name_does_not_become_a_token_between_the_template_s_own_signs():
    template = of("{% for m in messages %}<|{{ m.content }}|>{{ '<|' ~ m.content ~ '|>' }}{% endfor %}<|im_end|>")
    ids = template.encode([user("im_start"), user(" im_end"), user("IM_START")]).ids
    assert steering(template.tokenizer, ids) == [template.tokenizer.special["<|im_end|>"]]
    assert template.tokenizer.decode(ids) == "<|im_start|>" * 2 + "<| im_end|>" * 2 + "<|IM_START|>" * 2 + "<|im_end|>"


@pytest.mark.parametrize(
    ("expression", "content"),
    [
        ("c.split('</think>')[-1]", "a</think>b</think><think>c"),
        ("c.split('</think>', 1) | join('+')", "a</think>b</think>c"),
        ("c.rsplit('</think>', 1)[0]", "a</think>b</think>c"),
        ("c.split() | join('-')", " <think> x  </think>y "),
        ("c.partition('</think>')[2]", "a</think>b"),
        ("c.rpartition('<think>')[0]", "<think>a<think>b"),
        ("c | trim", "  <think>x </think> "),
        ("('x ' + c).strip() ~ (c ~ '').strip()", "think  "),
        ("c.lstrip('<') ~ '|' ~ c.rstrip('>')", "<think>x</think>"),
        ("c.replace('<think>', 'T') ~ (c | replace('</think>', ''))", "<think>x</think>"),
        ("c[7:] ~ '|' ~ c[:7] ~ '|' ~ c[0] ~ c[-1] ~ c[::-1]", "<think>x</think>"),
        ("c | length", "<think>"),
        (
            "'<think>' in c, c.startswith('<think>'), c.endswith('</think>'), c == '<think>x</think>'",
            "<think>x</think>",
        ),
        ("c.find('</think>'), c.index('x'), c.count('think'), c.rfind('<')", "<think>x</think>"),
        ("c | upper ~ (c | lower) ~ (c | capitalize)", "<think>x</think>"),
        ("c.removeprefix('<think>') ~ c.removesuffix('</think>')", "<think>x</think>"),
        ("c | tojson ~ ({'k': c} | tojson) ~ (c | tojson(ensure_ascii=true))", '<think>é"</think>'),
        ("'%s|%s' % (c, c) ~ '{}'.format(c)", "<think>"),
        ("[c, c] | join(c) ~ c | string", "<think>"),
        ("c.splitlines() | join('+')", "<think>\n</think>\n"),
        ("c is string, c is iterable, c is mapping", "<think>"),
        ("{c: 1}[c] ~ {c: 1}['<think>']", "<think>"),
        ("c | first ~ (c | last) ~ (c | list | length)", "<think>"),
    ],
)
def test_templates_do_not_notice_that_a_text_is_broken(expression, content):
    template = of("{% set c = messages[0].content %}{{ " + expression + " }}")
    from transformers.utils.chat_template_utils import render_jinja_template

    texts, _ = render_jinja_template([[user(content)]], chat_template=template.source)
    assert template.render([user(content)]) == texts[0]
    assert steering(template.tokenizer, template.encode([user(content)]).ids) == []


# A budget


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
         "takes more than 2,000,000 steps"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "calls itself without end"),
        ("{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(40) }}",
         "takes more than 2,000,000"),
        ("{% set n = namespace(x='ab') %}{% for a in range(60) %}{% set n.x = n.x + n.x %}{% endfor %}",
         "makes a text of more than"),
        ("{% set n = namespace(x='ab') %}{% for a in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
         "makes a text of more than"),
        ("{% set n = namespace(x='a') %}{% for a in range(60) %}{% set y %}{{ n.x }}{{ n.x }}{% endset %}"
         "{% set n.x = y %}{% endfor %}",
         "makes a text of more than"),
        ("{% for a in range(90000) %}{{ 'x' * 1000 }}{% endfor %}",
         "makes a text of more than"),
        ("{{ 'x' * 10 ** 12 }}", "makes a text of more than"),
        ("{{ [1] * 10 ** 12 }}", "makes a text of more than"),
        ("{{ 10 ** (10 ** 10) }}", "makes a text of more than"),
        ("{{ 'x' | center(10 ** 10) }}{{ 'x'.ljust(10 ** 10) }}", "makes a text of more than"),
        ("{{ 'x'.ljust(10 ** 10) }}", "makes a text of more than"),
        ("{{ '%9999999999d' % 1 }}", "a field of a thousand characters"),
        ("{{ '{:9999999999}'.format(1) }}", "a field of a thousand characters"),
        ("{{ ('a' * 1000).replace('a', 'b' * 1000).replace('b', 'c' * 1000) }}", "makes a text of more than"),
        ("{{ ('a' * 1000) | replace('a', 'b' * 10000) }}", "makes a text of more than"),
        ("{{ [1] | batch(10 ** 10, 0) | list }}", "makes a text of more than"),
        ("{{ [1] | tojson(indent=10 ** 10) }}", "JSON with an indent of more than 64"),
        ("{{ range(10 ** 9) | list }}", "Range too big"),
        ("{{ ''.__class__.__mro__ }}", "does what a template may not"),
        ("{{ messages.append(1) }}", "does what a template may not"),
        ("{{ raise_exception.__globals__.os }}", "does what a template may not"),
        ("{{ namespace(__class__=1) }}", "does what a template may not"),
        ("{{ cycler.__init__.__globals__.os }}", "does what a template may not"),
    ],
)  # fmt: skip
def test_a_template_that_runs_wild_is_stopped(source, words, monkeypatch):
    monkeypatch.setattr(sandbox, "SECONDS", 1e9)  # a machine with much to do is not what stops it
    with pytest.raises(RequestError, match=words):
        of(source).encode([user("x")])
    assert of("ok").render([user("x")]) == "ok"  # the next one has a fresh budget


def test_a_template_that_takes_too_long_is_stopped():
    ticks = iter(range(10**9))
    slow = JinjaTemplate("{% for a in range(99999) %}{% endfor %}", clock=lambda: float(next(ticks)))
    with pytest.raises(RequestError, match="takes more than 10 seconds"):
        slow.render({}, size=0)


def test_a_long_conversation_has_room():
    messages = [m for n in range(400) for m in (user(f"{n} " + "x" * 3000), assistant("y" * 3000))]
    assert len(ours("qwen3").render(messages)) > 2_400_000


@pytest.mark.parametrize("name", CONTROLS["qwen3"])
def test_values_of_variables_stay_text_too(name):
    template = of("{{ note }}{{ bos_token }}<|im_end|>")
    mine = template.tokenizer
    ids = template.encode([user("x")], note=name).ids
    assert steering(mine, ids) == [mine.special["<|endoftext|>"], mine.special["<|im_end|>"]]

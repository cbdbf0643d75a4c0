"""Templates of other models: the text and the ids of transformers, from wherever a model keeps them."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from creuset.core.errors import ArtifactError, RequestError
from creuset.testing import tiny_tokenizer
from creuset.text.chat import chat_template
from creuset.text.template import ChatTemplate
from creuset.text.tokenizer import Tokenizer
from tests.text.conversations import CLOCK, TABLE, WEATHER, assistant, call, system, tool, user
from tests.text.families import FOLDER, NOON, by_transformers, of, ours, tokenizer
from tests.text.foreign import TEMPLATES, write

THINKING = {
    "thinking on": {"enable_thinking": True},
    "off": {"enable_thinking": False},
    "effort": {"reasoning_effort": "low"},
}
THOUGHTS = ("one question, reply begins", "thoughts", "thoughts around a call")
DOCUMENTS = [{"title": f"t{n}", "text": f"text <{n}>"} for n in range(4)]
CASES: dict[str, dict[str, Any]] = {
    **TABLE,
    **{f"{name}, {said}": {**TABLE[name], **given}
       for said, given in THINKING.items() for name in THOUGHTS},
    "documents": {"messages": [user("Hi")], "documents": DOCUMENTS},
    "nine letters in ids": {
        "messages": [user("?"), assistant("", tool_calls=[call("clock", {"a": "é\"<b>"}, "abcdefghi")]),
                     tool("12 <b>&", "abcdefghi"), assistant("Noon.")],
        "tools": [WEATHER, CLOCK],
    },
    "names": {"messages": [user("Hi") | {"name": "ann"}, assistant("x") | {"name": "bot"}, user("y")]},
    "alternating, spaces": {"messages": [system(" s "), user("  a  "), assistant("  b  "), user("\tc\n")],
                            "add_generation_prompt": True},
}  # fmt: skip


class Noon(datetime):
    @classmethod
    def now(cls, tz: Any = None) -> datetime:
        return NOON


@pytest.mark.parametrize("family", TEMPLATES)
def test_every_template_says_what_transformers_says(family, monkeypatch):
    from jinja2 import TemplateError
    from transformers.utils import chat_template_utils

    monkeypatch.setattr(chat_template_utils, "datetime", Noon)
    shown = 0
    for name, case in CASES.items():
        try:
            theirs: str | None = by_transformers(family, **case)
        except (TemplateError, TypeError) as error:
            theirs, why = None, error
        if theirs is None:
            with pytest.raises(RequestError) as refused:
                ours(family).render(**case)
            assert str(why) in str(refused.value), name
        else:
            assert ours(family).render(**case) == theirs, name
            shown += 1
    assert shown >= 12  # of those that ask for strict turns, too


@pytest.mark.parametrize("family", TEMPLATES)
def test_the_ids_are_those_of_the_rendered_text(family, tmp_path):
    from transformers import PreTrainedTokenizerFast

    theirs = PreTrainedTokenizerFast.from_pretrained(write(tmp_path / "m", family))
    mine = tokenizer(family)
    for name, case in CASES.items():
        try:
            text = ours(family).render(**case)
        except RequestError:
            continue
        said = json.dumps(case, ensure_ascii=False, default=str)
        if mine.lookalikes.search(said):
            continue  # their encoder takes the names of control tokens in a message for the tokens
        found = ours(family).encode(**case)
        assert found.ids == theirs(text, add_special_tokens=False)["input_ids"], name
        assert found.mask == [0] * len(found.ids)


@pytest.mark.parametrize("family", TEMPLATES)
def test_a_final_message_is_continued_as_transformers_does(family):
    for content in ("The answer", "The answer ", "  so\n\n"):
        messages = [user("What?"), assistant(content)]
        found = ours(family).render(messages, continue_final_message=True, date_string="d")
        if family != "gpt_oss":  # its date
            assert found == by_transformers(family, messages, continue_final_message=True, date_string="d")
        assert found.rstrip().endswith(content.strip())


def test_ours_is_continued_as_its_template_says():
    from transformers.utils.chat_template_utils import render_jinja_template

    mine = ChatTemplate(tiny_tokenizer(), {"default": chat_template()})
    for content in ("The answer", "The answer \n", ""):
        messages = [system("s"), user("What?"), assistant(content)]
        texts, _ = render_jinja_template([messages], chat_template=chat_template(), continue_final_message=True)
        assert mine.is_ours and mine.render(messages, continue_final_message=True) == texts[0]
        ids = mine.encode(messages, continue_final_message=True).ids
        assert mine.tokenizer.decode(ids) == texts[0] and ids[-1] != mine.tokenizer.im_end


@pytest.mark.parametrize("template", [ours("qwen3"), ChatTemplate(tiny_tokenizer(), {"default": chat_template()})])
def test_what_cannot_be_continued_is_refused(template):
    for messages, more, words in [
        ([user("x")], {}, "the last message must be the assistant's"),
        ([user("x"), assistant("", tool_calls=[call("f", {})])], {}, "without calls"),
        ([user("x"), assistant("y")], {"add_generation_prompt": True}, "no new one may begin"),
    ]:
        with pytest.raises(RequestError, match=words) as refused:
            template.encode(messages, continue_final_message=True, **more)
        assert refused.value.param == "continue_final_message"
    drops = of("{% for m in messages[:-1] %}{{ m.content }}{% endfor %}")
    with pytest.raises(RequestError, match="does not show the last message to its end"):
        drops.encode([user("x"), assistant("y")], continue_final_message=True)


# Where templates are


def folder_with(path: Path, **files: Any) -> Path:
    write(path, "qwen3")
    said = json.loads((path / "tokenizer_config.json").read_text(encoding="utf-8"))
    said.pop("chat_template")
    (path / "tokenizer_config.json").write_text(json.dumps(said | files.pop("config", {})), encoding="utf-8")
    for name, text in files.items():
        file = path / name.replace("__", "/").replace("_jinja", ".jinja").replace("_json", ".json")
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return path


def loaded(path: Path) -> ChatTemplate:
    return ChatTemplate.load(path, Tokenizer.load(path))


@pytest.mark.parametrize(
    ("files", "expected", "with_tools"),
    [
        ({"config": {"chat_template": "config"}}, "config", "config"),
        ({"chat_template_jinja": "file", "config": {"chat_template": "config"}}, "file", "file"),
        ({"chat_template_json": '{"chat_template": "json"}'}, "json", "json"),
        ({"config": {"chat_template": [{"name": "default", "template": "d"}, {"name": "tool_use", "template": "t"}]}},
         "d", "t"),
        ({"config": {"chat_template": {"default": "d", "tool_use": "t"}}}, "d", "t"),
        ({"chat_template_jinja": "file", "additional_chat_templates__tool_use_jinja": "more"}, "file", "more"),
    ],
)  # fmt: skip
def test_a_template_is_found_where_transformers_finds_it(tmp_path, files, expected, with_tools):
    from transformers import PreTrainedTokenizerFast

    path = folder_with(tmp_path / "m", **files)
    mine = loaded(path)
    assert mine.source == expected and not mine.is_ours
    assert mine.render([user("x")]) == expected and mine.render([user("x")], tools=[CLOCK]) == with_tools
    if "chat_template_json" not in files:  # the name that processors have; tokenizers do not look there
        theirs = PreTrainedTokenizerFast.from_pretrained(path)
        assert theirs.apply_chat_template([user("x")], tokenize=False) == expected
        assert theirs.apply_chat_template([user("x")], tools=[CLOCK], tokenize=False) == with_tools


def test_a_model_without_a_template_does_not_chat_and_no_other_is_taken(tmp_path):
    mine = loaded(folder_with(tmp_path / "bare"))
    assert mine.source == "" and not mine.is_ours
    with pytest.raises(RequestError, match="`bare` has no chat template, so it cannot chat") as refused:
        mine.encode([user("x")])
    assert "--chat-template FILE" in refused.value.hint and "/v1/completions" in refused.value.hint


def test_a_template_is_given_by_its_file(tmp_path):
    file = tmp_path / "mine.jinja"
    file.write_text("<{{ messages[0].content }}>", encoding="utf-8")
    mine = ChatTemplate.load(folder_with(tmp_path / "bare"), tokenizer("qwen3"), file=file)
    assert mine.render([user("x")]) == "<x>"
    with pytest.raises(ArtifactError, match=r"the chat template `.*nowhere\.jinja` cannot be read"):
        ChatTemplate.load(tmp_path, tokenizer("qwen3"), file=tmp_path / "nowhere.jinja")


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"config": {"chat_template": 3}}, "`chat_template` is neither a text nor a list"),
        ({"config": {"chat_template": [{"name": "x"}]}}, "`chat_template` is neither a text nor a list"),
        ({"chat_template_json": "[]"}, "must hold a JSON object"),
        ({"chat_template_jinja": "a\n{% if %}"}, "the chat template of `m`: line 2: Expected an expression"),
        ({"chat_template_jinja": "{{ 'x'|nothere }}"}, "line 1: No filter named 'nothere'"),
    ],
)
def test_a_damaged_template_is_refused_when_the_model_is_loaded(tmp_path, files, words):
    path = folder_with(tmp_path / "m", **files)
    with pytest.raises(ArtifactError, match=words):
        ChatTemplate.load(path, tokenizer("qwen3"))


# What the template takes


def test_a_template_for_parts_gets_parts():
    assert of((FOLDER / "parts.jinja").read_text()).render([user("Hi"), assistant("x")]) == (
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nx<|im_end|>\n"
    )


def test_what_a_template_reads_is_known():
    assert {"enable_thinking", "messages", "tools", "add_generation_prompt"} <= ours("qwen3").variables
    assert "reasoning_effort" in ours("gpt_oss").variables and "enable_thinking" not in ours("gpt_oss").variables


def test_the_words_of_a_template_that_refuses_are_told():
    with pytest.raises(
        RequestError, match="the chat template of mistral refuses this conversation: Tool call IDs should"
    ):
        ours("mistral").encode(TABLE["a call and its result"]["messages"], tools=[WEATHER])
    with pytest.raises(RequestError, match="cannot show this conversation: can only concatenate str"):
        of("{{ 'x' + messages }}").encode([user("x")])


def test_a_name_is_shown_where_the_template_asks_for_it():
    named = of("{% for m in messages %}{{ m.name }}: {{ m.content }}\n{% endfor %}")
    assert named.render([user("Hi") | {"name": "ann"}, assistant("x")]) == "ann: Hi\n: x\n" and named.shows_names
    assert not ours("qwen3").shows_names and not ChatTemplate(tokenizer("qwen3"), {}).shows_names
    assert not ChatTemplate(tiny_tokenizer(), {"default": chat_template()}).shows_names

import copy
import json
from pathlib import Path

import pytest
from conversations import CLOCK, OURS, TABLE, THOUGHT, assistant, call, system, tool, user

from creuset.core.errors import RequestError
from creuset.testing import tiny_tokenizer
from creuset.text.chat import chat_template, encode_chat, render
from creuset.text.stream import Detokenizer
from creuset.text.tokenizer import CONTROL, train
from creuset.types.messages import parse_messages

TOKENIZER = tiny_tokenizer()
ALL = TABLE | OURS
# Rendered by the templates that Qwen2.5-7B-Instruct and Qwen3-0.6B publish.
GOLDEN = json.loads((Path(__file__).parent.parent / "golden" / "chat.json").read_text(encoding="utf-8"))
MODES = {
    "qwen2.5": {"default_system": "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."},
    "qwen3": {"thinking": True},
    "qwen3 not thinking": {"thinking": False},
}
# Their encoder takes the names of control tokens in content for the tokens.
NAMES_INSIDE = {
    "control tokens in content",
    "thoughts inside the content",
    "half a thought",
    "a result given as a user's message",
}
SETTINGS = [{}, {"thinking": True}, {"thinking": False}, {"default_system": "Be kind."}, {"default_system": ""}]


def by_transformers(messages, tools=None, add_generation_prompt=False, thinking=None, default_system=None):
    from transformers.utils.chat_template_utils import render_jinja_template

    given = {"add_generation_prompt": add_generation_prompt, "default_system": default_system}
    if thinking is not None:
        given["enable_thinking"] = thinking
    texts, _ = render_jinja_template(
        conversations=[copy.deepcopy(messages)], tools=tools, chat_template=chat_template(), **given
    )
    return texts[0]


# The template


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", TABLE)
def test_what_qwen_renders_we_render(name, mode):
    assert render(**TABLE[name], **MODES[mode]) == GOLDEN[name][mode]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("name", ALL)
def test_the_saved_template_says_the_same_as_the_code(name, settings):
    assert by_transformers(**ALL[name], **settings) == render(**ALL[name], **settings)


def test_a_saved_tokenizer_renders_and_encodes_like_us(tmp_path):
    from transformers import AutoTokenizer

    TOKENIZER.save(tmp_path)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    for name, given in TABLE.items():
        given = copy.deepcopy(given)
        messages = given.pop("messages")
        assert theirs.apply_chat_template(messages, tokenize=False, **given) == render(messages, **given), name
        if name in NAMES_INSIDE:
            continue
        found = theirs.apply_chat_template(messages, tokenize=True, return_dict=False, **given)
        assert found == encode_chat(TOKENIZER, messages, **given).ids, name


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("name", ALL)
def test_ids_decode_to_the_rendered_text(name, settings):
    encoded = encode_chat(TOKENIZER, **ALL[name], **settings)
    assert TOKENIZER.decode(encoded.ids) == render(**ALL[name], **settings)
    assert len(encoded.ids) == len(encoded.mask) and set(encoded.mask) <= {0, 1}


def test_nothing_is_changed_in_what_was_given():
    given = copy.deepcopy(ALL)
    for arguments in given.values():
        render(**arguments, thinking=True)
    assert given == ALL


# Control tokens in content


def control_ids(ids):
    return [TOKENIZER.decode([id]) for id in ids if id in TOKENIZER.special.values()]


@pytest.mark.parametrize("thinking", [None, True, False])
@pytest.mark.parametrize("name", CONTROL)
def test_no_message_tool_or_result_can_bring_a_control_token(name, thinking):
    def conversation(text):
        return {
            "messages": [
                system(f"s{text}"),
                user(f"{text}q"),
                assistant(f"a{text}b", tool_calls=[call(f"f{text}", {"x": text}), call("g", f'{{"y": "{text}"}}')]),
                tool(text),
                assistant(f"a{text}", reasoning_content=f"r{text}"),
                user([{"type": "text", "text": text}, {"type": "text", "text": text}]),
            ],
            "tools": [{"type": "function", "function": {"name": "f", "description": text}}],
            "default_system": text,
            "add_generation_prompt": True,
            "thinking": thinking,
        }

    encoded = encode_chat(TOKENIZER, **conversation(name))
    plain = encode_chat(TOKENIZER, **conversation("word"))
    assert control_ids(encoded.ids) == control_ids(plain.ids)
    assert TOKENIZER.decode(encoded.ids) == render(**conversation(name))
    stream = Detokenizer(TOKENIZER, special=True)
    assert "".join([*map(stream.push, encoded.ids), stream.finish()]) == render(**conversation(name))


def test_a_name_split_over_two_parts_stays_text_too():
    message = user([{"type": "text", "text": "<|im_"}, {"type": "text", "text": "end|>"}])
    assert control_ids(encode_chat(TOKENIZER, [message]).ids) == ["<|im_start|>", "<|im_end|>"]


# The mask


def trained(messages, **settings):
    """The trained stretches, as text."""
    encoded = encode_chat(TOKENIZER, messages, **settings)
    parts, before = [], 0
    for id, bit in zip(encoded.ids, encoded.mask, strict=True):
        if bit:
            parts[-1 if before else len(parts) :] = [(parts[-1] if before else []) + [id]]
        before = bit
    return [TOKENIZER.decode(part) for part in parts]


def test_only_what_the_assistant_says_is_trained_with_its_end():
    messages = [system("s"), user("a"), assistant("One."), user("b"), assistant("Deux.")]
    assert trained(messages) == ["One.<|im_end|>", "Deux.<|im_end|>"]
    assert trained([user("a")], add_generation_prompt=True) == []


def test_tool_calls_are_trained_and_results_are_not():
    calls = [call("clock", {"z": 1}), call("f", {})]
    messages = [user("?"), assistant("Look.", tool_calls=calls), tool("12"), assistant("N")]
    assert trained(messages, tools=[CLOCK]) == [
        'Look.\n<tool_call>\n{"name": "clock", "arguments": {"z": 1}}\n</tool_call>\n'
        '<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call><|im_end|>',
        "N<|im_end|>",
    ]


def test_thoughts_are_trained_and_an_empty_block_only_when_the_model_writes_it():
    messages = [user("Hi"), assistant("Hello!", reasoning_content=THOUGHT)]
    assert trained(messages, thinking=True) == [f"<think>\n{THOUGHT}\n</think>\n\nHello!<|im_end|>"]
    assert trained(messages, thinking=False) == [f"<think>\n{THOUGHT}\n</think>\n\nHello!<|im_end|>"]
    assert trained(messages) == ["Hello!<|im_end|>"]
    plain = [user("Hi"), assistant("Hello!")]
    assert trained(plain, thinking=True) == ["<think>\n\n</think>\n\nHello!<|im_end|>"]
    assert trained(plain, thinking=False) == ["Hello!<|im_end|>"]


def test_a_message_of_weight_0_is_shown_and_not_trained_on():
    messages = [user("a"), assistant("b", weight=0), user("c"), assistant("d", weight=1)]
    assert trained(messages) == ["d<|im_end|>"]


@pytest.mark.parametrize("thinking", [None, True, False])
@pytest.mark.parametrize("reply", ["Hello", " Hello", "\nHello", "\n\n  x", "", "\t", "é", "<|im_end|>"])
def test_training_begins_exactly_where_generation_does(reply, thinking):
    """The ids before the first trained one are the prompt that the engine will be given."""
    prompt = encode_chat(TOKENIZER, [user("a")], add_generation_prompt=True, thinking=thinking).ids
    whole = encode_chat(TOKENIZER, [user("a"), assistant(reply)], thinking=thinking)
    assert whole.ids[: whole.mask.index(1)] == prompt


@pytest.fixture(scope="module")
def joining():
    """A tokenizer with tokens for several line ends, so that it matters where the text is cut."""
    made = train(["a\n\nb\n\n\nc\n\n\n\nd\n\n\t\ne " * 20], vocab_size=320)
    assert len(made.encode("\n\n\n")) == 1
    return made


@pytest.mark.parametrize("weight", [0, 1])
@pytest.mark.parametrize("thinking", [None, False])
def test_a_reply_is_cut_where_generation_begins_also_when_it_is_not_trained_on(joining, weight, thinking):
    prompt = encode_chat(joining, [user("a")], add_generation_prompt=True, thinking=thinking).ids
    whole = encode_chat(joining, [user("a"), assistant("\n\nb", weight=weight)], thinking=thinking).ids
    assert whole[: len(prompt)] == prompt


def test_what_the_model_writes_in_one_go_is_cut_in_one_go(joining):
    messages = [user("\n\na\n"), assistant("\t\nHello", reasoning_content="r"), user("\n")]
    for given in (messages[:1], messages[:2]):
        assert encode_chat(joining, given, thinking=True).ids == joining.encode_special(render(given, thinking=True))


# Refusals: tests/types/test_messages.py has those of the parser


@pytest.mark.parametrize("function", [render, lambda *a, **k: encode_chat(TOKENIZER, *a, **k)])
def test_what_the_parser_refuses_is_not_rendered(function):
    with pytest.raises(RequestError, match=r"`messages\[1\].role` must be one of"):
        function([user("a"), {"role": "bot", "content": "x"}])
    with pytest.raises(RequestError, match=r"`tools\[0\]` must be an object"):
        function([user("a")], tools=["f"])


def test_parsed_messages_give_what_their_source_gives():
    for case in ALL.values():
        given = {**case, "messages": parse_messages(case["messages"], "lenient")}
        assert render(**given) == render(**case)


def test_half_a_surrogate_pair_in_a_message_is_refused():
    with pytest.raises(RequestError, match=r"U\+D83D"):
        encode_chat(TOKENIZER, [user("a\ud83d")])

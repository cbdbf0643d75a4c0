"""The fields that both routes share, at the edges of what they take."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from creuset.core.errors import PromptTooLong, RequestError
from creuset.server.chat.sampling import MAX_TOKENS, fit, take_sampling, take_stop
from creuset.server.chat.tools import take_tools
from creuset.server.model import describe
from creuset.server.openai.completions import CompletionRequest, join, parse_completion
from creuset.server.openai.tokens import parse_tokenize
from creuset.testing import tiny_model_folder
from creuset.types.fields import Fields
from creuset.types.generation import Sampling

from .conftest import NAME
from .test_middleware import HOST, JSON, SMALL, Asked


@pytest.mark.parametrize(
    ("prompt", "asked", "default", "expected"),
    [
        (9, None, None, 1), (9, 1, None, 1), (4, None, None, 6), (4, 6, None, 6), (4, None, 3, 3), (8, None, 3, 2),
        (4, 5, 3, 5), (10, 0, None, 0), (9, 0, None, 0),
    ],
)  # fmt: skip
def test_what_fits_in_a_context_of_ten_is_given(
    prompt: int, asked: int | None, default: int | None, expected: int
) -> None:
    assert fit("m", 10, prompt, asked, param="prompt", default=default) == expected


@pytest.mark.parametrize(
    ("prompt", "asked", "words"),
    [
        (10, None, "; the prompt has 10 tokens as m reads it"),
        (11, 0, "the prompt has 11 tokens"), (11, None, "the prompt has 11 tokens"),
        (10, 1, "the prompt has 10 tokens"),
        (9, 2, "; 9 prompt tokens and 2 to generate make 11 for m"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_and_never_cut(prompt: int, asked: int | None, words: str) -> None:
    with pytest.raises(PromptTooLong, match=words) as refused:
        fit("m", 10, prompt, asked, param="messages", limit="max_completion_tokens")
    assert str(refused.value).startswith("This model's maximum context length is 10 tokens"), "clients look for it"
    too_much = prompt < 10  # it is what is asked for, and not the prompt, that has no room
    assert refused.value.param == ("max_completion_tokens" if too_much else "messages")
    assert ("can be at most 1 here" if too_much else "truncate_prompt_tokens") in refused.value.hint


def test_a_cache_that_is_smaller_than_the_context_says_what_to_raise() -> None:
    for asked in (None, 5):
        words = "10 tokens, since the key-value cache of m holds fewer than its context of 40"
        with pytest.raises(PromptTooLong, match=words) as refused:
            fit("m", 10, 10 if asked is None else 8, asked, param="prompt", context=40)
        assert "--kv-memory or --kv-tokens" in refused.value.hint
    with pytest.raises(PromptTooLong, match="length is 10 tokens, prompt and reply together") as refused:
        fit("m", 10, 10, None, param="prompt", context=10)
    assert "--context" in refused.value.hint


def test_what_is_not_given_is_the_models_and_else_openais(tmp_path: Path) -> None:
    model = replace(describe(tiny_model_folder(tmp_path / NAME)), defaults={})
    assert take_sampling(Fields({}), model) == Sampling(max_tokens=MAX_TOKENS)
    preset = {"temperature": 0.5, "top_p": 0.25, "top_k": 3.0, "min_p": 0.125, "repetition_penalty": 1.5}
    wanted = Sampling(max_tokens=MAX_TOKENS, temperature=0.5, top_p=0.25, top_k=3, min_p=0.125, repetition_penalty=1.5)
    assert take_sampling(Fields({}), replace(model, defaults=preset)) == wanted


def test_as_many_stop_strings_as_are_taken_are_taken() -> None:
    assert take_stop(Fields({"stop": ["a", "b", "c", "d"]}), 4) == ("a", "b", "c", "d")
    assert take_stop(Fields({"stop": "x"}), 1) == ("x",) and take_stop(Fields({}), 4) == ()
    with pytest.raises(RequestError, match="takes at most 4 strings, got 5"):
        take_stop(Fields({"stop": list("abcde")}), 4)


TOOL = {"type": "function", "function": {"name": "f"}}


def test_vllms_flag_for_special_tokens_is_taken_and_checked(folder: Path) -> None:
    model = describe(folder, [NAME])
    assert parse_tokenize(Fields({"prompt": "x", "add_special_tokens": True}), model).prompt == "x"
    with pytest.raises(RequestError, match="`add_special_tokens` must be true or false, got 1"):
        parse_tokenize(Fields({"prompt": "x", "add_special_tokens": 1}), model)


def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_read() -> None:
    asked = Asked("POST", headers=[HOST, JSON, (b"content-length", b"999")], body=[b""], settings=SMALL)
    assert asked.status == 413 and "at least 999 bytes" in asked.error["message"]


def test_chunks_of_a_raw_completion_are_joined_with_their_log_probabilities() -> None:
    def part(text: str, finish: str | None = None) -> dict[str, Any]:
        lists = {"tokens": [text], "token_logprobs": [-1.0], "top_logprobs": [{}], "text_offset": [0]}
        return {"text": text, "logprobs": lists, "finish_reason": finish}

    one = join(3, [part("a", "stop")])
    assert (one["index"], one["text"], one["finish_reason"]) == (3, "a", "stop")
    assert one["logprobs"]["tokens"] == ["a"]
    two = join(0, [part("a"), part("b", "length")])
    assert two["text"] == "ab" and two["logprobs"]["tokens"] == ["a", "b"] and two["finish_reason"] == "length"
    plain = join(0, [{"text": "a", "logprobs": None, "finish_reason": "stop"}])
    assert plain["logprobs"] is None


def raw(folder: Path, **body: Any) -> CompletionRequest:
    return parse_completion(Fields({"prompt": "hi"} | body), NAME, describe(folder, [NAME]))


def test_best_of_is_at_least_n_or_says_nothing(folder: Path) -> None:
    assert raw(folder, best_of=1, n=3).choices == 3 and raw(folder, best_of=20, n=20).choices == 20
    for best_of, words in (
        (0, "`best_of` must be at least `n` \\(3\\), got 0"), (2, "got 2"),
        (-1, "between 0 and 20, got -1"), (21, "between 0 and 20, got 21"),
    ):  # fmt: skip
        with pytest.raises(RequestError, match=words):
            raw(folder, best_of=best_of, n=3)


def test_a_request_that_scores_a_text_gets_one_token_even_if_it_is_an_end(folder: Path) -> None:
    scores = {"echo": True, "logprobs": 0, "max_tokens": 1}
    assert raw(folder, **scores).sampling.ignore_eos and raw(folder, **scores).scores
    assert raw(folder, ignore_eos=True).sampling.ignore_eos and not raw(folder, ignore_eos=True).scores
    for change in ({"echo": False}, {"logprobs": None}, {"max_tokens": 2}):
        ask = raw(folder, **(scores | change))
        assert not ask.scores and not ask.sampling.ignore_eos


def test_raw_completions_take_the_fields_that_change_nothing_and_check_them(folder: Path) -> None:
    assert raw(folder, user="ann", metadata={"a": "b"}, service_tier="auto").choices == 1
    with pytest.raises(RequestError, match="`metadata` must be an object of strings"):
        raw(folder, metadata={"a": 1})


def test_the_old_and_the_new_name_of_a_choice_of_tools_do_not_mix() -> None:
    for body in ({"tools": [TOOL], "function_call": "auto"}, {"functions": [TOOL["function"]], "tool_choice": "auto"}):
        with pytest.raises(RequestError, match="is not served here") as refused:
            take_tools(Fields(body))
        assert refused.value.code == "unsupported_parameter"

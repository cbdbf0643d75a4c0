"""One answer: which text and which tokens leave when, and how it ends, against the rules written out here."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from creuset.engine.answer.output import OutputBuilder
from creuset.testing import tiny_tokenizer
from creuset.text.stream import Detokenizer
from creuset.types.generation import Event, TokenLogprob
from tests.engine.support import ask, whole

TOKENIZER = tiny_tokenizer()
END = TOKENIZER.im_end
WORDS = TOKENIZER.encode("The cat sat on the mat. Où est la rivière ? ")
STOPS = ["t sat X", "at", "on the mat", "e ca", "è", " ?"]


def answer(**sampling):
    return OutputBuilder(ask("a", [1, 2, 3], **({"max_tokens": 100} | sampling)), TOKENIZER, end_ids=frozenset([END]))


def pushed(one, tokens):
    """Events until the answer ends."""
    events = []
    for token in tokens:
        event = one.push(token, TokenLogprob(token, -0.5), cached=0)
        # No event is as good as one that tells nothing.
        events.append(event or Event(id="a", logprobs=(), completion_tokens=one.count))
        if events[-1].finish:
            break
    return events


def spans(tokens):
    """Where the text of each token begins and ends."""
    detokenizer, at, found = Detokenizer(TOKENIZER), 0, []
    for token in tokens:
        size = len(detokenizer.push(token))
        found.append((at, at + size))
        at += size
    return found


@given(
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=25),
    st.lists(st.sampled_from(STOPS), max_size=2, unique=True),
    st.integers(1, 25),
)
def test_a_token_leaves_with_the_last_of_its_text_and_at_the_end_with_the_first(tokens, stops, most):
    events = pushed(answer(stop=tuple(stops), max_tokens=most, logprobs=0), tokens)
    where, out, sent = spans(tokens), 0, []
    for event in events:
        out, sent = out + len(event.text), [*sent, *event.tokens]
        assert sent == tokens[: len(sent)]
        assert [one.token for one in event.logprobs] == list(event.tokens)
        complete = [end <= out for _, end in where[: event.completion_tokens]]
        begun = [start < out or end <= out for start, end in where[: event.completion_tokens]]
        leaves = begun if event.finish else complete
        assert len(sent) == (leaves.index(False) if False in leaves else len(leaves))


@pytest.mark.parametrize("logprobs", [None, 0])
@pytest.mark.parametrize("end", ["limit", "cancelled"])
@pytest.mark.parametrize("stops", [(), ("on the mat", "at"), ("no such thing",)])
def test_an_answer_that_is_wanted_whole_is_told_once_with_what_its_events_would_have_told(logprobs, end, stops):
    kind = {"stop": stops, "logprobs": logprobs, "return_ids": logprobs == 0, "max_tokens": len(WORDS) - 3}
    found = []
    for wanted in (False, True):
        request = msgspec.structs.replace(ask("a", [1, 2, 3], **kind), whole=wanted)
        one = OutputBuilder(request, TOKENIZER, end_ids=frozenset([END]))
        events = []
        for token in WORDS[: 8 if end == "cancelled" else None]:
            events.append(one.push(token, TokenLogprob(token, -0.5) if logprobs == 0 else None, cached=2))
            if events[-1] is not None and events[-1].finish:
                break
        else:
            events.append(one.end("cancelled", cached=2))
        told = [event for event in events if event is not None]
        assert not wanted or len(told) == 1
        joined = whole(told)
        emitted = sum((event.emitted or () for event in told), ())
        found.append(msgspec.structs.replace(joined, emitted=emitted))
    assert found[0] == found[1] and found[0].text


@given(
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=25),
    st.lists(st.sampled_from(STOPS), max_size=2, unique=True),
    st.integers(1, 25),
)
def test_the_text_is_the_whole_text_before_the_first_stop_string(tokens, stops, most):
    events = pushed(answer(stop=tuple(stops), max_tokens=most), tokens)
    last = events[-1]
    read = tokens[: last.completion_tokens]
    assert last.completion_tokens == len(events)
    whole = TOKENIZER.decode(read)
    text = "".join(event.text for event in events)
    if last.finish == "stop":
        assert last.stop_match in stops
        assert text == whole[: min(whole.find(stop) for stop in stops if stop in whole)]
        before = TOKENIZER.decode(read[:-1])
        assert not any(stop in before for stop in stops), "it went on behind a stop string"
    else:
        assert not any(stop in whole for stop in stops)
        assert last.finish == ("length" if len(read) == most else None)
        if last.finish:
            assert text == whole


def test_the_models_end_and_a_stop_id_end_it_and_have_no_text():
    for token, kind in ((END, {}), (WORDS[1], {"stop_ids": (WORDS[1],)})):
        *_, last = pushed(answer(logprobs=0, **kind), [WORDS[0], token, WORDS[2]])
        assert (last.finish, last.stop_token, last.stop_match) == ("stop", token, None)
        assert (last.completion_tokens, last.tokens, last.text) == (2, (), "")


def test_an_end_token_that_is_ignored_is_a_token_like_others():
    events = pushed(answer(ignore_eos=True, max_tokens=3), [END, END, END, END])
    assert [event.finish for event in events] == [None, None, "length"]
    assert sum((event.tokens for event in events), ()) == (END, END, END)


def test_before_min_tokens_neither_an_end_token_nor_a_stop_string_ends_it():
    events = pushed(answer(min_tokens=2, stop=("T",)), [END, WORDS[0], END])
    assert [event.finish for event in events] == [None, None, "stop"]
    assert events[-1].stop_token == END and "".join(e.text for e in events).startswith("T")
    (last,) = pushed(answer(min_tokens=0, stop=("T",)), [WORDS[0]])
    assert (last.finish, last.stop_match, last.text) == ("stop", "T", "")


def test_what_was_held_back_goes_out_when_another_reason_ends_it():
    one = answer(stop=("The cat sat on XYZ",))
    events = pushed(one, WORDS[:3])
    assert "".join(event.text for event in events) == "" and not any(event.tokens for event in events)
    last = one.end("cancelled", cached=7)
    assert last.text == TOKENIZER.decode(WORDS[:3]) and last.tokens == tuple(WORDS[:3])
    assert (last.finish, last.cached_tokens, last.prompt_tokens, last.completion_tokens) == ("cancelled", 7, 3, 3)


def test_half_a_character_at_the_end_is_a_replacement_character():
    first, *_ = TOKENIZER.encode("\N{GRINNING FACE}")
    one = answer(max_tokens=1)
    (last,) = pushed(one, [first])
    assert last.text == "\ufffd" and last.tokens == (first,)


@pytest.mark.parametrize(("wanted", "told"), [(None, None), (0, (None, TokenLogprob(2, -1.0), TokenLogprob(3, -2.0)))])
def test_the_prompts_log_probabilities_are_told_once_with_the_first_event(wanted, told):
    one = answer(prompt_logprobs=wanted)
    assert one.prompt_done is (wanted is None)
    one.prompt_logprobs += [TokenLogprob(2, -1.0), TokenLogprob(3, -2.0)]
    assert one.prompt_done
    events = pushed(one, WORDS[:2])
    assert [event.prompt_logprobs for event in events] == [told, None]
    assert all(event.logprobs is None for event in events), "nobody asked for those of the answer"


@given(
    st.lists(st.sampled_from([*WORDS, END]), min_size=1, max_size=25),
    st.lists(st.sampled_from(STOPS), max_size=2, unique=True),
    st.integers(1, 25),
)
def test_the_ids_on_request_are_all_that_the_model_emitted(tokens, stops, most):
    events = pushed(answer(stop=tuple(stops), max_tokens=most, return_ids=True), tokens)
    told = [event for event in events if event.text or event.tokens or event.finish]  # what an engine sends
    emitted = [token for event in told for token in event.emitted]
    assert emitted == tokens[: len(emitted)]
    if events[-1].finish:
        assert len(emitted) == events[-1].completion_tokens
    assert all(event.emitted is None for event in pushed(answer(), tokens))


def test_a_stop_is_part_of_the_text_where_that_is_asked_for():
    words = TOKENIZER.encode("The cat sat on the mat.")
    for stops, text in [(("at s",), "The cat s"), (("mat",), "The cat sat on the mat")]:
        events = pushed(answer(stop=stops, include_stop=True, logprobs=0), words)
        assert "".join(event.text for event in events) == text and events[-1].stop_match == stops[0]
        sent = [token for event in events for token in event.tokens]
        assert TOKENIZER.decode(sent).startswith(text)
    dot, rest = words[-1], words[:-1]
    events = pushed(answer(stop_ids=(dot,), include_stop=True, stop=("mat. X",)), [*rest, dot])
    assert "".join(event.text for event in events) == "The cat sat on the mat." and events[-1].stop_token == dot
    events = pushed(answer(include_stop=True), [*rest, END])
    assert "".join(event.text for event in events) == "The cat sat on the mat"

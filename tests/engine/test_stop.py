import pytest
from hypothesis import given
from hypothesis import strategies as st

from creuset.engine.answer.stop import StopMatcher

TEXT = st.text(alphabet="ab\n", max_size=30)


@given(st.lists(st.text(alphabet="ab\n", max_size=4), max_size=15), st.lists(TEXT.filter(bool), min_size=1, max_size=3))
def test_streamed_text_is_the_whole_text_before_the_first_stop(pieces, stops):
    matcher = StopMatcher(tuple(stops))
    whole, out, match = "", "", None
    for piece in pieces:
        whole += piece
        verdict = matcher.push(piece)
        out, match = out + verdict.text, verdict.match
        if match is not None:
            break
        held = whole[len(out) :]
        assert held == matcher.held
        assert not held or any(stop.startswith(held) for stop in stops), "text is held back for no reason"
        for stop in stops:  # whatever may still become a stop string is held back entirely
            for size in range(1, len(stop)):
                assert not whole.endswith(stop[:size]) or len(held) >= size
    if match is None:
        out += matcher.finish()
        assert out == whole and not any(stop in whole for stop in stops)
    else:
        # Decided at the first token that completes a stop string: of those there by then, the earliest.
        assert out == whole[: min(whole.find(stop) for stop in stops if stop in whole)] and match in stops


@pytest.mark.parametrize(
    ("pieces", "stops", "out", "match"),
    [
        (["Hel", "lo wor", "ld"], ("lo w",), "Hel", "lo w"),
        (["one\n", "\nQ: two"], ("\n\n", "Q:"), "one", "\n\n"),
        (["aaa", "ab"], ("aab",), "aa", "aab"),
        (["no stop he", "re"], ("hero",), "no stop here", None),
        (["é", "t", "é"], ("té",), "é", "té"),
    ],
)
def test_a_stop_string_may_lie_anywhere_over_tokens(pieces, stops, out, match):
    matcher = StopMatcher(stops)
    said, found = "", None
    for piece in pieces:
        verdict = matcher.push(piece)
        said, found = said + verdict.text, verdict.match
        if found:
            break
    assert found == match and said + ("" if match else matcher.finish()) == out

"""What a caller writes is refused before the compiler takes seconds to say what is wrong with it."""

import pytest

from creuset.core.errors import RequestError
from creuset.text import grammar


def test_a_long_line_of_a_grammar_is_refused_at_once() -> None:
    with pytest.raises(RequestError, match=r"`grammar` has 10001 characters in line 2; a line may have 10000"):
        grammar.lark('start: "a"\n' + "x" * 10_001)
    assert grammar.lark('start: "' + "x" * 9_000 + '"\n')


def test_a_long_pattern_is_refused_at_once() -> None:
    with pytest.raises(RequestError, match=r"`regex` has 10001 characters; a pattern may have 10000"):
        grammar.regex("(" * 10_001)
    assert grammar.regex("x" * 9_000)

r"""Are two formulae in LaTeX the same expression? Asked of sympy, in a program of its own.

    sandbox.run(program(truth, answer))     passes where they are: foreign LaTeX can keep a parser busy for ever

latex2sympy2_extended reads both. They are the same if their difference simplifies to 0, or to less than 0.001. A
formula that cannot be read equals no other. LiveBench uses sympy's own parsers, and may ask a language model about
formulae that these call different. On its published judgments our reader gives the same scores without asking
(docs/log.md).
"""

from functools import cache
from pathlib import Path
from typing import Any

CLOSE = 1e-3


def expression(latex: str) -> Any:
    """The expression that a formula means, backslashes written twice included; None where it cannot be read."""
    from latex2sympy2_extended import latex2sympy

    for text in dict.fromkeys((latex, latex.replace("\\\\", "\\"))):
        try:
            return latex2sympy(text)
        except Exception:  # a parser of free text ends in a dozen kinds of error
            continue
    return None


def equal(truth: str, answer: str) -> bool:
    import sympy

    left, right = expression(truth), expression(answer)
    if left is None or right is None:
        return False
    try:
        rest = sympy.simplify(left - right)
        return bool(rest == 0 or sympy.Abs(rest) < CLOSE)
    except Exception:  # a set less a number, a relation that is neither true nor false ...
        return False


def program(truth: str, answer: str) -> str:
    """This file, and an assertion that the two are equal."""
    return f"{Path(__file__).read_text(encoding='utf-8')}\nassert equal({truth!r}, {answer!r}), 'different'\n"


@cache
def check() -> None:
    """ConfigError, which names what is not installed, where formulae cannot be compared; once a process."""
    from creuset.core.errors import ConfigError
    from creuset.core.extras import install
    from creuset.evals import sandbox

    sandbox.check()
    verdict = sandbox.run(program("2 x", "x + x"), sandbox.Limits(wall_s=60, cpu_s=50))
    if not verdict.passed:
        raise ConfigError(
            f"AMPS_Hard compares formulae with sympy, which fails: {verdict.detail or verdict.reason}",
            hint=f"{install('eval')}, or choose other parts of livebench",
        )

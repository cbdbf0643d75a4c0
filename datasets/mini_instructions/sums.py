"""Word problems from open sets, kept short: the step, then the answer.

Sources: MAWPS (MIT), one or two operations given as a prefix equation; GSM8K, training part only (MIT).
Teaches: to write the sum before the answer.
GSM8K's and other benchmarks' test parts are never read.
"""

import re
from collections.abc import Iterator
from fractions import Fraction
from random import Random

from mini_instructions.base import Made, Provenance, Refused, Rule
from mini_instructions.prose import tidy
from mini_instructions.shelf import Shelf

SIGNS = {"+": "+", "-": "-", "*": "x", "/": "/"}
ENDINGS = ("", "", "", " Show your steps.", " Explain how you got it.", " Think step by step.")


def plain(value: Fraction) -> str | None:
    """`value` as a whole number or with at most two decimals; None when that would round it."""
    if value.denominator == 1:
        return str(value.numerator)
    hundredths = value * 100
    return f"{float(value):.2f}".rstrip("0") if hundredths.denominator == 1 else None


def steps(prefix: str) -> tuple[list[str], Fraction] | None:
    """The steps `a + b = c` of a prefix equation and its value; None when it is not read or not exact."""
    tokens = prefix.split()
    lines: list[str] = []

    def value() -> Fraction:
        token = tokens.pop(0)
        if token not in SIGNS:
            return Fraction(token)
        left, right = value(), value()
        result = {
            "+": left + right,
            "-": left - right,
            "*": left * right,
            "/": left / right if right else Fraction(-1),
        }[token]
        shown = [plain(x) for x in (left, right, result)]
        if None in shown or result < 0:
            raise ValueError(prefix)
        lines.append(f"{shown[0]} {SIGNS[token]} {shown[1]} = {shown[2]}")
        return result

    try:
        total = value()
    except (ValueError, IndexError, ZeroDivisionError):
        return None
    return (lines, total) if lines and not tokens else None


def joined(text: str) -> str:
    """Words that a tokenizer split (`did n't`, `Sue ' s`, `$ 11`) put together again."""
    text = re.sub(r" n't\b", "n't", text)
    text = re.sub(r"(\w) ' ?s\b", r"\1's", text)
    text = re.sub(r"' ([^']{1,40}?) '", r"'\1'", text)
    return re.sub(r"\$ (?=\d)", "$", text)


def from_mawps(shelf: Shelf, rng: Random, count: int) -> Iterator[Made]:
    for number, document in enumerate(shelf.read("reasoning", "en_mawps")):
        prompt = joined(tidy(str(document.get("prompt", ""))))
        worked = steps(str(document.get("equation_prefix", "")))
        if worked is None:
            yield Refused("equation is not exact")
            continue
        lines, total = worked
        if abs(float(total) - float(document.get("answer", "nan"))) > 1e-3:
            yield Refused("equation and answer differ")
        elif len(lines) > 2 or len(prompt.split()) > 60 or not prompt.endswith(("?", ".")):
            yield Refused("too long")
        else:
            answer = f"{'. Then '.join(lines)}. The answer is {plain(total)}."
            about = Provenance(
                "sums_mawps",
                "MAWPS (arkilpatel/SVAMP)",
                "MIT",
                f"{document.get('source', '')}#{number}",
                group=f"mawps:{number}",
            )
            yield about.ask(prompt + rng.choice(ENDINGS), answer)


def from_gsm8k(shelf: Shelf, rng: Random, count: int) -> Iterator[Made]:
    for number, document in enumerate(shelf.read("reasoning", "en_gsm8k_train")):
        prompt, solution = tidy(str(document.get("prompt", ""))), str(document.get("solution", ""))
        lines = [tidy(line) for line in solution.split("\n") if line.strip()]
        if len(lines) > 3 or len(solution.split()) > 45 or len(prompt.split()) > 60:
            yield Refused("too long")
        elif re.search(r"<<|[^\x00-\x7f£€°]", prompt + solution) or "=" not in solution:
            yield Refused("markup or no sum")
        else:
            answer = " ".join(line if line.endswith((".", "!", "?")) else line + "." for line in lines)
            about = Provenance(
                "sums_gsm8k",
                "GSM8K, training part",
                "MIT",
                f"{document.get('source', '')}#{number}",
                group=f"gsm8k:{number}",
            )
            yield about.ask(prompt + rng.choice(ENDINGS), f"{answer} The answer is {document.get('answer', '')}.")


RULES = (
    Rule("sums_mawps", "one- and two-step word problems", 1_500, from_mawps, "MAWPS (arkilpatel/SVAMP)", "MIT"),
    Rule("sums_gsm8k", "short word problems with steps", 900, from_gsm8k, "GSM8K, training part", "MIT"),
)

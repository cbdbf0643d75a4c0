"""LiveBench's reasoning: who lies, puzzles of people in a line (old and new form), questions of space."""

import re
from itertools import product

from creuset.benchmarks.livebench.marks import Read, bare, boxed, last_line, solutions

WORDS = ("yes", "no", "unknown")
NUMBERS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
)  # fmt: skip
SHAPES = ("tetrahedra", "tetrahedron", "triangle", "square")


def lies(truth: str, text: str, question: str) -> Read:
    """web_of_lies_v2: three of yes, no, unknown. Right also where the three stand in a longer answer."""
    said = three(text)
    # As published: `no` is counted in `unknown` too, so an answer with one counts only where it is the truth itself.
    counted = sum(said.count(word) for word in WORDS) if said else 0
    right = said is not None and (said == truth.lower() or (counted == 3 and truth.lower() in said))
    return float(right), said


def three(text: str) -> str | None:
    """In the tags, else the last three such words in bold, else in a box, else three of them with commas between."""
    if marked := solutions(text):
        said: str | None = marked[-1]
    else:
        bold = [
            w.lower().replace(",", "").replace(".", "") for b in re.findall(r"\*\*(.*?)\*\*", text) for w in b.split()
        ]
        said = ", ".join([word for word in bold if word in WORDS][-3:]) or None
    if said is None or not said.strip():
        box = boxed(text.replace("\\\\boxed{\\\\textbf{", "\\\\boxed{").replace("\\textbf{", "\\boxed{"))
        said = said if box is None else box
    if said is None:
        places = {text.lower().find(", ".join(words)): ", ".join(words) for words in product(WORDS, repeat=3)}
        said = places[max(places)] if max(places) >= 0 else None
    return said


def zebra(truth: str, text: str, question: str) -> Read:
    """zebra_puzzle since 2024-11-25: several answers, half the score for all being right, half for their share."""
    wanted = [_plain(part) for part in truth.split(",")]
    marked = solutions(text)
    if not marked and (box := boxed(text)) is not None:
        marked = [bare(box)]
    if not marked and last_line(text).count(",") == len(wanted) - 1:
        marked = [last_line(text)]
    if not marked:
        return 0.0, None
    # Several spans: one answer each, as some replies write them; the last ones count.
    said = [part for span in marked for part in span.split(",")]
    said = said[-len(wanted) :] if len(marked) > 1 else said
    right = sum(w in _plain(s).replace("position", "") for w, s in zip(wanted, said, strict=False))
    return ((right == len(wanted)) + right / len(wanted)) / 2, ", ".join(part.strip() for part in said)


def zebra_before(truth: str, text: str, question: str) -> Read:
    """zebra_puzzle before 2024-11-25: the last ***word***, else the last word; a digit may be written out."""
    found = re.findall(r"\*\*\*(\w+)\*\*\*", text) or re.findall(r"\b\w+\b", text)
    if not found:
        return 0.0, None
    said = found[-1].lower()
    spelled = NUMBERS[int(said)] if re.fullmatch("[1-9]", said) else said
    return float(truth.lower() in (said, spelled, f"{said} movies")), said


def _plain(text: str) -> str:
    return text.strip().lower().replace("-", " ")


def spatial(truth: str, text: str, question: str) -> Read:
    """One of the last three words in bold, a number in digits or letters; else a box."""
    wanted = truth.strip().lower()
    bold = [word.strip().lower() for word in re.findall(r"\*\*([^*]+)\*\*", text)][-3:]
    for said in bold:
        spelled = str(NUMBERS.index(said)) if said in NUMBERS else said
        # `two tetrahedra` is tetrahedra, `circle square triangle` is no triangle: hence the limit of length.
        shape = wanted in SHAPES and wanted in said and len(said) < 2 * len(wanted) + 5
        if wanted in (said, spelled) or shape:
            return 1.0, said
    box = boxed(text)
    if box is not None and re.sub(r"\\(?:textbf|mathbf|text)\{|\}", "", box) == truth:
        return 1.0, truth
    return float(text == truth), bold[-1] if bold else box

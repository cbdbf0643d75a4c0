r"""LiveBench's mathematics: contest letters, three digits, the order of formulae in a proof; the box of a formula.

Each rule reads the reply as LiveBench's own rule does, also where that rule is generous: the answer to a contest
problem may be the text of the right option in the last characters, and three digits count anywhere in the last fifty.
"""

import re

from creuset.benchmarks.livebench.marks import Read, bare, boxed, distance, last_line

TAIL = 50  # characters at the end of a reply in which the three digits of AIME are looked for


def contest(truth: str, text: str, question: str) -> Read:
    """AMC and SMC: a letter from A to E, asked for five times in a row (`DDDDD`)."""
    marked = re.findall(r"<solution>(.*?)</solution>", text)
    letter = marked[-1][:1] if marked and len(set(marked[-1])) == 1 else ""
    if letter.upper() == truth or truth * 4 in text:
        return 1.0, truth
    if (box := boxed(text)) and (letter := bare(box).upper()) in set("ABCDE") and letter == truth:
        return 1.0, truth
    value = option(question, truth)
    if value is not None and value in text[-(20 + len(value)) :]:
        return 1.0, value
    line = last_line(text)
    said = line.strip().replace("*", "")
    inside = line.split("(")[1].split(")")[0] if "(" in line and ")" in line else ""
    if truth.lower() in (said.lower(), inside.lower()):
        return 1.0, truth
    wrong = re.findall(r"([A-E])\1{3}", text)
    return 0.0, wrong[-1] if wrong else letter or None


def option(question: str, letter: str) -> str | None:
    r"""The text behind `\textbf{(B) }` in a question; None where there is none."""
    found = re.findall(rf"\\textbf{{\({letter}\)\s?}}(.*?)(?:\\qquad|\$)", question)
    return (found[-1].strip().strip("$").strip("~") or None) if found else None


def digits(truth: str, text: str, question: str) -> Read:
    """AIME: three digits near the end of the reply."""
    if truth in text[-TAIL:]:
        return 1.0, truth
    said = re.findall(r"(?<!\d)\d{3}(?!\d)", text[-TAIL:])
    return 0.0, said[-1] if said else None


def proof(truth: str, text: str, question: str) -> Read:
    """IMO and USAMO: formulae by number in their order; 1 - edit distance / length of the longer list."""
    wanted = [int(n) for n in truth.split(",")]
    said = order(text)
    score = 1 - distance(said, wanted) / max(len(said), len(wanted))
    return score, ",".join("?" if n is None else str(n) for n in said) or None


def order(text: str) -> list[int | None]:
    """The numbers after `Answer:`, else in the last box, else in the last line; None for a part that is no number."""
    low = text.lower()
    if "answer:" in low:
        lines = low.strip().split("\n")
        at = max(i for i, line in enumerate(lines) if "answer:" in line)
        said = _unmarked(lines[at].split("answer:")[1])
        if not said and at + 1 < len(lines):
            said = _unmarked(lines[at + 1].replace("answer:", ""))
        words = [part.strip().split(" ")[-1] for part in said.split(",")]
        if found := _numbers([re.sub(r"[${}\\<>]|boxed", "", word) for word in words]):
            return found
    if "\\boxed" in text:
        box = boxed(text)
        if found := _numbers(bare(text if box is None else box).strip().split(",")):
            return found
    runs = [run[0] for part in last_line(low).split(",") if (run := re.search(r"\d+", part))]
    if runs:
        return [int(run) for run in runs]
    numbers: list[int | None] = []
    for i, part in enumerate(low.split("answer:")[-1].split(",")):
        run = re.search(r"\d+", part.strip())
        if run:
            numbers.append(int(run[0]))
        if i and (run is None or run[0] != part.strip()):
            break  # the list ends where something else stands between two commas
    return numbers


def _unmarked(text: str) -> str:
    return text.replace("**", "").replace(".", "").strip()


def _numbers(parts: list[str]) -> list[int | None]:
    """Each part as a number or None; [] where none is one."""
    found = [int(p) if re.fullmatch(r"\s*[+-]?\d+\s*", p) else None for p in parts]
    return found if any(n is not None for n in found) else []


def cleaned(text: str) -> str:
    """A reply to AMPS_Hard in one line, without the constant of integration and commands that only set sizes."""
    text = re.sub(r"\+ ?[Cc]", "", text).replace("\\\\fbox{", "\\\\boxed{")
    text = re.sub(r"\\[dt]frac", r"\\frac", text)
    return re.sub(r"\\(?:left|right|[bB]ig[lr]|[,;])|\n", "", text).replace("\\cdot", "*")


def formula(text: str) -> str | None:
    """The formula of the last box of a cleaned reply, else between its last dollar signs; None: there is neither."""
    box = boxed(text)
    if box is None and text.count("$") >= 2:
        # All is one line now: the last pair of dollar signs of the reply. `$$` closes as `$` does.
        end = text.rfind("$") - (text[text.rfind("$") - 1] == "$")
        box = text[text.rfind("$", 0, end) + 1 : end]
        box = box.split("\\quad \\text{or} \\quad")[-1] if "=" not in box else box
        box = box.split("=")[-1].strip()
    return None if box is None else normal(box)


def normal(answer: str) -> str:
    r"""What stands right of the last `=`, without text commands and `$`; `\frac12` and `\sqrt2` with their braces."""
    answer = answer.split("=")[-1]
    answer = re.sub(r"^(.*?)\$(.*?)\$(.*)", r"\2", answer)
    answer = re.sub(r"\\(?:text|textbf|overline)\{(.*?)\}", r"\1", answer)
    answer = re.sub(r"frac([^{])(.)", r"frac{\1}{\2}", answer)
    answer = re.sub(r"sqrt([^{\[])", r"sqrt{\1}", answer).replace("$", "")
    return answer.replace(",", "") if answer.replace(",", "").isdigit() else answer


def truth_formula(truth: str) -> str:
    return re.sub(r"\\(?:left|right)", "", truth).replace(" ^", "^").replace("\\ ", "*")

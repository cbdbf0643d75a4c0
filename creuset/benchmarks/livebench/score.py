"""One reply scored by the rule of its question."""

from creuset.benchmarks.code.livecodebench import LiveCodeBench, fenced_last, with_tests
from creuset.benchmarks.instructions.ifeval_check import follows
from creuset.benchmarks.livebench import algebra, language, maths, reasoning, tables
from creuset.benchmarks.livebench.marks import Scorer
from creuset.evals import sandbox
from creuset.evals.extract import without_thinking
from creuset.evals.task import Row

RULES: dict[str, Scorer] = {
    "contest": maths.contest, "aime": maths.digits, "olympiad": maths.proof,
    "web_of_lies_v2": reasoning.lies, "zebra_puzzle": reasoning.zebra, "zebra_puzzle_before": reasoning.zebra_before,
    "spatial": reasoning.spatial, "connections": language.connections,
    "connections_before": language.connections_before, "plot_unscrambling": language.plot, "typos": language.typos,
    "cta": tables.column_kind, "tablejoin": tables.join, "tablereformat": tables.reformat,
}  # fmt: skip
ALGEBRA = sandbox.Limits(wall_s=60, cpu_s=50)


def scored(gold: Row, reply: str) -> Row:
    """`correct` from 0 to 1, the answer read, and how a run ended where something was run."""
    text = without_thinking(reply)
    row: Row = {"task": gold["task"], "gold": gold["truth"]}
    if gold["rule"] == "instructions":
        followed = [follows(kind, text, asked, "en") for kind, asked in gold["asked"]]
        # Half for following all, half for the share that is followed; LiveBench reads strictly only.
        score = (all(followed) + sum(followed) / len(followed)) / 2
        return row | {
            "correct": score,
            "answer": text,
            "extracted": bool(text.strip()),
            "gold": [kind for kind, _ in gold["asked"]],
            "followed": followed,
        }
    if gold["rule"] == "program":
        return row | _run(gold, text)
    if gold["rule"] == "AMPS_Hard":
        return row | _compare(gold["truth"], text)
    score, answer = RULES[gold["rule"]](gold["truth"], text, gold.get("question", ""))
    return row | {"correct": score, "answer": answer, "extracted": answer is not None}


def _compare(truth: str, text: str) -> Row:
    text, wanted = maths.cleaned(text), maths.truth_formula(truth)
    answer = maths.formula(text)
    if answer is None:
        # No formula is marked: the reply may still end with the truth, letter by letter.
        right = text.removesuffix(".").endswith(wanted)
        return {"correct": float(right), "answer": wanted if right else None, "extracted": right}
    end = "passed" if answer == wanted else sandbox.run(algebra.program(wanted, answer), ALGEBRA).reason
    return {"correct": float(end == "passed"), "answer": answer, "extracted": True, "end": end}


def code(text: str) -> str:
    """The last fenced block of a reply, else all of it; a single fence at its end is left out."""
    if (last := fenced_last(text)) is not None:
        return last
    if len(text) > 1 and text[0] == text[-1] == "`":
        return text[1:-1]
    *before, end = text.rstrip().split("\n")
    return "\n".join(before) if "```" in end else text.rstrip()


def _run(gold: Row, text: str) -> Row:
    program = code(text)
    if not program.startswith(gold["begun"]):
        program = f"{gold['begun']}\n{program}"
    end = sandbox.run(with_tests(program, gold["tests"], gold["name"]), LiveCodeBench.limits).reason
    return {"correct": float(end == "passed"), "answer": program, "extracted": bool(text.strip()), "end": end}

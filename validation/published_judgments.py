"""Our readers of verdicts and our scores on judgments that others published.

    python validation/published_judgments.py --arena REPO --leaderboard FILE --single REPO [--single REPO ...]
                                       --votes FOLDER --bench FOLDER

--arena        a git directory with Arena-Hard judgments (data/arena-hard-v0.1/model_judgment/JUDGE/MODEL.jsonl)
--leaderboard  a path in it: a leaderboard that its show_result.py wrote from them
--single       a git directory with MT-Bench judgments (fastchat/llm_judge/data/mt_bench/model_judgment/*single*.jsonl)
--bench        the folder with mt_bench/question.jsonl, judge_prompts.jsonl and gpt-4.jsonl, as `creuset eval` takes it
--votes        a folder with human.jsonl and gpt4_pair.jsonl, the votes of lmsys/mt_bench_human_judgments (CC-BY-4.0)

The repositories are Apache-2.0. Of a judgment only the lines with a bracket are read.
"""

import argparse
import csv
import json
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import votes

from creuset.benchmarks.judged.arena_hard import POINTS
from creuset.benchmarks.judged.judged import rating, verdict
from creuset.benchmarks.judged.mt_bench import MtBench
from creuset.core import stats

Row = dict[str, Any]


def git(repo: Path, *words: str) -> str:
    return subprocess.run(["git", f"--git-dir={repo}", *words], capture_output=True, text=True, check=True).stdout


def files(repo: Path, pattern: str) -> Iterator[tuple[str, list[Row]]]:
    """Name and rows of each file at HEAD whose path matches; files that the copy lacks are left out and named."""
    for path in git(repo, "ls-tree", "-r", "--name-only", "HEAD").splitlines():
        if re.search(pattern, path):
            try:
                text = git(repo, "show", f"HEAD:{path}")
            except subprocess.CalledProcessError:
                print(f"  not in this copy: {path}")
                continue
            yield path, [json.loads(line) for line in text.split("\n") if line.strip()]


def bracketed(text: str) -> str:
    return "\n".join(line for line in text.split("\n") if "[" in line)


def arena(repo: Path, leaderboard: str) -> None:
    table = {row["model"]: row for row in csv.DictReader(git(repo, "show", f"HEAD:{leaderboard}").splitlines())}
    for _, rows in files(repo, r"arena-hard-v0.1/model_judgment/gpt-4-1106-preview/.*\.jsonl$"):
        model = rows[0]["model"]
        games = [[[bracketed(g["judgment"]), g["score"]] for g in row["games"]] for row in rows]
        differ = sum(verdict(g["judgment"]) != g["score"] for row in rows for g in row["games"])
        points, weights = zip(*(scored(row) for row in games), strict=True)
        own = [i for i, w in enumerate(weights) if w]
        share = 100 * sum(points) / sum(weights)
        ends = stats.bootstrap_ratio(np.array(points)[own], np.array(weights)[own])
        said = {k: float(table[model][k]) for k in ("score", "rating_q025", "rating_q975")} if model in table else None
        print(
            f"{model}: {len(rows)} questions, {differ} verdicts read otherwise than published; ours {share:.2f} "
            f"[{100 * ends.low:.2f}, {100 * ends.high:.2f}], published {said}"
            if ends
            else f"{model}: {share:.2f}"
        )


def scored(games: list[list[Any]]) -> tuple[float, float]:
    """Points and weight of one question: in the first game the baseline stood first, in the second the model."""
    points = weight = 0.0
    for first_is_model, (text, _) in zip((False, True), games, strict=True):
        if (said := verdict(text)) is not None:
            won, heavy = POINTS[said]
            points += won if first_is_model else heavy - won
            weight += heavy
    return points, weight


def single(repo: Path) -> None:
    kept: dict[tuple[str, int, int, str], Row] = {}
    for _, rows in files(repo, r"mt_bench/model_judgment/.*single.*\.jsonl$"):
        for row in rows:
            kept[(row["model"], row["question_id"], row["turn"], row["judgment"])] = row
    groups: defaultdict[tuple[str, int], list[float]] = defaultdict(list)
    for row in kept.values():
        if row["score"] != -1:
            groups[(row["model"], row["turn"])].append(row["score"])
    differ = [r for r in kept.values() if rating(r["judgment"]) != (r["score"] if r["score"] != -1 else None)]
    print(
        f"{repo.parent.name}: {len(kept)} ratings, {len(differ)} read otherwise than published; "
        + ", ".join(f"{m} turn {t}: {sum(v) / len(v):.4f}" for (m, t), v in sorted(groups.items()))
    )


def prompts(repo: Path, bench: Path) -> None:
    """What our judge is asked about published answers, against what theirs was."""
    answers = {r["model_id"] + str(r["question_id"]): r["choices"][0]["turns"]
               for _, rows in files(repo, r"mt_bench/model_answer/.*\.jsonl$") for r in rows}  # fmt: skip
    task, differ, seen = MtBench(), 0, 0
    samples = {sample.id: sample for sample in task.samples(bench)}
    for _, rows in files(repo, r"mt_bench/model_judgment/.*single\.jsonl$"):
        for row in rows:
            said = answers.get(row["model"] + str(row["question_id"]))
            if said is None:
                continue
            seen += 1
            # The authors put the answer into the prompt as it is; our runs leave thinking out before that.
            asked = task.question(samples[str(row["question_id"])], *said[: row["turn"]])[1]
            differ += asked != row["user_prompt"]
    print(f"{repo.parent.name}: {seen} prompts to the judge, {differ} differ from the published ones")


def agreement(folder: Path) -> None:
    """The figures of the paper's table of agreement."""
    rows = {name: [json.loads(line) for line in (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
            for name in ("human", "gpt4_pair")}  # fmt: skip
    rows["human"] = [row for row in rows["human"] if row["judge"].startswith("expert")]  # as the authors do
    for turn in (1, 2):
        judge, people = (votes.by_pair(r for r in rows[name] if r["turn"] == turn) for name in ("gpt4_pair", "human"))
        for ties in (True, False):
            for label, found in (
                ("GPT-4 and people", votes.with_people(judge, people, ties=ties)),
                ("people among themselves", votes.among_people(people, ties=ties)),
            ):
                assert found is not None
                print(
                    f"turn {turn}, {'with' if ties else 'without'} ties: {label} {found.value:.3f} "
                    f"[{found.interval.low:.3f}, {found.interval.high:.3f}], n = {found.n}"
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arena", type=Path, required=True)
    parser.add_argument("--leaderboard", required=True)
    parser.add_argument("--single", type=Path, action="append", required=True)
    parser.add_argument("--votes", type=Path, required=True)
    parser.add_argument("--bench", type=Path, required=True)
    args = parser.parse_args()
    arena(args.arena, args.leaderboard)
    agreement(args.votes)
    for repo in args.single:
        single(repo)
        prompts(repo, args.bench)


if __name__ == "__main__":
    main()

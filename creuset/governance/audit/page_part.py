"""One part of the audit on its page: how to read it, what was found and what could have been, then all figures.

A part with many figures shows its main ones; the others are folded. No torch here.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from creuset.core.sentences import sentence
from creuset.governance.audit.curves import curves
from creuset.governance.audit.how_to_read import COMPARED, GROUPS, how_to_read
from creuset.report.blocks import Block, Bullets, Column, Details, Grid, Line, Para, Said, Section, Span, line
from creuset.report.table import interval_text, measure_table, number, tag

Row = Mapping[str, Any]
SHOWN = 12  # figures of a part that are not folded


def part_blocks(task: str, rows: Sequence[Row]) -> list[Block]:
    """The part's heading and all that is known; `rows` are its figures, those without a score among them."""
    scored = [row for row in rows if row.get("score") is not None]
    words = how_to_read(task)
    return [
        Section(
            Span(task, name=True),
            (
                *([Para(line(words), "soft")] if words else []),
                *_findings([row for row in scored if "detected" in row]),
                *curves(scored),
                *_figures(scored),
                *_without([row for row in rows if row.get("score") is None]),
            ),
            level=3,
        )
    ]


def _figures(scored: Sequence[Row]) -> list[Block]:
    if not scored:
        return []
    first = [row for row in scored if "." not in str(row["metric"])] or list(scored[: SHOWN // 2])
    if len(scored) <= SHOWN or len(first) == len(scored):
        return measure_table(scored, task=False)
    rest = [row for row in scored if row not in first]
    more = sentence("audit.more_figures", n=len(rest))
    return [*measure_table(first, task=False), Details(more, tuple(measure_table(rest, task=False)))]


def _without(rows: Sequence[Row]) -> list[Block]:
    """Why there is no figure: once a reason, however many figures it holds for."""
    reasons: dict[tuple[str, str, Line], int] = {}
    for row in rows:
        reason = str(row.get("status", "measured")), str(row.get("why", "")), _judge(row)
        reasons[reason] = reasons.get(reason, 0) + 1
    items = tuple(
        line(tag(status), " ", why, judge, sentence("audit.figures_2", n=n) if n > 1 else "")
        for (status, why, judge), n in reasons.items()
    )
    return [Bullets(items)] if items else []


def _judge(row: Row) -> Line:
    """Who was asked for verdicts, and how many came."""
    if not row.get("judge"):
        return ()
    who = ", ".join(str(row[key]) for key in ("judge", "judge_at") if row.get(key))
    asked, unread, failed = (number(row.get(key) or 0) for key in ("judge_calls", "unread", "judge_failed"))
    return line(sentence("audit.judge_calls_without_a_verdict_failed", who=who, asked=asked, unread=unread,
                         failed=failed))  # fmt: skip


def _findings(rows: Sequence[Row]) -> list[Block]:
    """What was tested: the gap, its interval, p after Holm's correction, and what the sample could have shown."""
    if not rows:
        return []
    head = (
        Column(sentence("audit.compared"), "name"),
        Column(sentence("audit.gap"), "n score"),
        Column(sentence("audit.95_interval"), "n"),
        Column("p (Holm)", "n"),
        Column(sentence("audit.at_equal_frequency_age_and_length"), "n m"),
        Column(sentence("audit.finding"), "name"),
    )
    lines: list[tuple[Said, ...]] = []
    last = ""
    for row in rows:
        what, _, group = str(row["metric"]).partition(".")
        if what != last:
            lines.append((COMPARED[what] if what in COMPARED else Span(what, name=True),))
            last = what
        words = GROUPS.get(group.rpartition(".")[2])
        equal = row.get("adjusted_interval")
        same = f"{row['adjusted']:.3f} [{equal[0]:.3f}, {equal[1]:.3f}]" if equal else ""
        p = float(row["p_holm"])
        lines.append(
            (
                words or Span(group, name=True),
                f"{row['score']:.3f}",
                interval_text(row),
                "< 0.001" if p < 0.001 else f"{p:.3f}",
                same,
                _finding(row),
            )
        )
    return [Grid(head, tuple(lines), kind="findings")]


DETECTED = Span(sentence("audit.detected"), strong=True, tone="warn")
NOT_DETECTED = Span(sentence("audit.not_detected"))


def _spread(row: Row) -> Line:
    """Of a distance between the farthest of several groups, which has no direction."""
    ends = sorted(row["groups"].items(), key=lambda pair: float(pair[1]))
    (low, least), (high, most) = ends[0], ends[-1]
    spread = sentence("audit.lowest_highest", low=low, least=number(least), high=high, most=number(most))
    return line(DETECTED if row["detected"] else NOT_DETECTED, Span(spread, tone="soft"))


def _finding(row: Row) -> Line:
    if row.get("groups"):
        return _spread(row)
    if row["detected"]:
        equal = row.get("adjusted_interval")
        above = sentence("audit.higher_for_the_former")
        below = sentence("audit.lower_for_the_former")
        unclear = Span(sentence("audit.no_longer_clear_of_0_at"), tone="soft")
        return line(
            DETECTED,
            above if float(row["score"]) > 0 else below,
            unclear if equal and equal[0] <= 0.0 <= equal[1] else "",
        )
    if row.get("smallest_detectable") is None:
        return line(sentence("audit.nothing_to_test_all_answers_agree"))
    least = number(row["smallest_detectable"])
    return line(NOT_DETECTED, Span(sentence("audit.a_true_gap_of_would_have", least=least), tone="soft"))

"""The report of a corpus as one HTML page: where the documents of each source went, and why."""

from collections.abc import Mapping, Sequence
from typing import Any

from creuset.core.sentences import Sentence, sentence
from creuset.report.blocks import Block, Bullets, Chart, Column, Details, Grid, Para, Pre, Section, Span, line
from creuset.report.chart import Bar, bars, columns
from creuset.report.page import page as whole_page

NONE = Para(line(sentence("data.none")), "soft")
DOCUMENTS = sentence("data.documents")


def page(report: Mapping[str, Any]) -> str:
    """The page of `report.json`."""
    total, speed, sources = report["total"], report["speed"], report["sources"]
    share = total["kept"]["characters"] / max(1, total["read"]["characters"])
    read, kept, held, dropped = (f"{total[k]['documents']:,}" for k in ("read", "kept", "heldout", "dropped"))
    rate, spent, clock = f"{speed['mb_s_per_core']} {speed['note']}", speed["core_seconds"], speed["wall_seconds"]
    stages = [(stage, s["mb_s"] or 0) for stage, s in speed["stages"].items()]
    broken = [line(f"{name}: {text}") for name, one in sources.items() for text in one["broken"]]
    blocks: list[Block] = [
        Para(
            line(
                sentence("data.totals", read=read, kept=kept, share=share, held=held, dropped=dropped),
                Span(sentence("data.content"), tone="soft"),
                " ",
                Span(report["content_sha256"][:16], tone="soft mono"),
            )
        ),
        Section(sentence("data.sources"), (_sources(sources),)),
        Section(
            sentence("data.where_the_documents_of_each_source"),
            tuple(_waterfall(name, one) for name, one in sources.items()),
        ),
        Section(
            sentence("data.why_documents_were_dropped"),
            (_counts([(reason, n["documents"]) for reason, n in _by_count(total["reasons"])], "drop", DOCUMENTS),),
        ),
        Section(
            sentence("data.length_of_the_documents_in_characters"), _lengths(total["lengths"], total["lengths_dropped"])
        ),
        Section(
            sentence("data.languages_of_what_is_kept"), (_counts(_most(total["languages"])[:20], "kept", DOCUMENTS),)
        ),
        Section(
            sentence("data.personal_data_masked"), (_counts(_most(total["masked"]), "held", sentence("data.places")),)
        ),
        Section(
            sentence("data.speed_of_each_stage"),
            (
                _counts(stages, "kept", sentence("data.mb_s_on_one_core")),
                Para(
                    line(sentence("data.all_stages", rate=rate, spent=spent, clock=clock, workers=speed["workers"])),
                    "soft",
                ),
                _stages(sources),
            ),
        ),
        Section(sentence("data.broken_lines"), (Bullets(tuple(broken)) if broken else NONE,)),
        Section(
            sentence("data.samples_of_what_was_dropped"),
            (
                Para(line(sentence("data.a_fixed_random_choice_for_each")), "soft"),
                *(Section(name, _samples(one["samples"]), level=3) for name, one in sources.items() if one["samples"]),
            ),
        ),
    ]
    return whole_page(sentence("data.corpus_report"), blocks)


def _by_count(reasons: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return sorted(reasons.items(), key=lambda kv: -kv[1]["documents"])


def _most(counts: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted(counts.items(), key=lambda kv: -kv[1])


def _counts(rows: Sequence[tuple[str, float]], cls: str, unit: Sentence) -> Chart:
    return Chart(bars([Bar(label, value, f"{value:,}", cls) for label, value in rows], unit))


def _sources(sources: Mapping[str, Any]) -> Grid:
    head = (
        sentence("data.source"),
        sentence("data.licence"),
        sentence("data.rules"),
        sentence("data.read"),
        sentence("data.kept"),
        sentence("data.held_out"),
        sentence("data.dropped"),
        sentence("data.m_characters_kept"),
        sentence("data.lines_removed"),
        sentence("data.masked"),
        sentence("data.mb_s_a_core"),
    )
    return Grid(
        tuple(Column(words, "n" if n > 2 else "") for n, words in enumerate(head)),
        tuple(
            (
                Span(name, name=True),
                Span(one["licence"] or sentence("data.unknown")),
                Span(one["kind"], name=True),
                *(f"{one[part]['documents']:,}" for part in ("read", "kept", "heldout", "dropped")),
                f"{one['kept']['characters'] / 1e6:,.2f}",
                f"{one['removed_lines']:,}",
                f"{sum(one['masked'].values()):,}",
                str(one["speed"]["mb_s_per_core"]),
            )
            for name, one in sources.items()
        ),
    )


def _stages(sources: Mapping[str, Any]) -> Grid:
    names = sorted({stage for one in sources.values() for stage in one["speed"]["stages"]})
    speeds = {name: one["speed"]["stages"] for name, one in sources.items()}
    return Grid(
        (sentence("data.mb_s_on_one_core"), *(Column(name, "n") for name in names)),
        tuple(
            (Span(name, name=True), *(str(own[s]["mb_s"]) if s in own and own[s]["mb_s"] else "–" for s in names))
            for name, own in speeds.items()
        ),
    )


def _waterfall(name: str, one: Mapping[str, Any]) -> Section:
    """read, minus each reason, leaves held out and kept; bars hang where the last one ended."""
    read = max(1, one["read"]["documents"])
    reasons = _by_count(one["reasons"])
    steps: list[tuple[str, int, str]] = [(reason, n["documents"], "drop") for reason, n in reasons[:8]]
    if rest := sum(n["documents"] for _, n in reasons[8:]):
        steps.append((sentence("data.other_reasons", count=len(reasons) - 8), rest, "drop"))
    steps.append((sentence("data.held_out"), one["heldout"]["documents"], "held"))
    kept, end = one["kept"]["documents"], read
    rows = [Bar(sentence("data.read"), read, _of(read, read), "rest")]
    for label, count, cls in steps:
        end -= count
        rows.append(Bar(label, count, _of(count, read), cls, start=end))
    rows.append(Bar(sentence("data.kept"), kept, _of(kept, read), "kept"))
    return Section(name, (Chart(bars(rows, "", top=read)),), level=3)


def _of(count: int, read: int) -> str:
    return f"{count:,} ({count / read:.1%})"


def _lengths(kept: Mapping[str, int], dropped: Mapping[str, int]) -> tuple[Block, ...]:
    """Two columns for each power of two."""
    bits = sorted({int(b) for b in [*kept, *dropped]})
    if not bits:
        return (NONE,)
    pairs = {
        _short(1 << max(0, bit - 1)): (kept.get(str(bit), 0), dropped.get(str(bit), 0))
        for bit in range(bits[0], bits[-1] + 1)
    }
    top = f"{max([*kept.values(), *dropped.values(), 1]):,}"
    square = [Span("■ ", tone="kept"), Span("■ ", tone="drop")]
    return Chart(columns(pairs, sentence("data.lengths_of_documents"))), Para(
        line(square[0], sentence("data.kept_2"), square[1], sentence("data.lengths_in_pairs", top=top)), "soft"
    )


def _short(number: int) -> str:
    return f"{number // (1 << 20)}M" if number >= 1 << 20 else f"{number // 1024}k" if number >= 1024 else str(number)


def _samples(samples: Mapping[str, Any]) -> tuple[Block, ...]:
    made = []
    for reason, shown in samples.items():
        texts: list[Block] = []
        for one in shown:
            texts += [Para(line(": ".join(filter(None, (one["id"], one["detail"])))), "soft"), Pre(one["text"])]
        count = Span(sentence("data.samples_shown", count=len(shown)), tone="soft")
        made.append(Details(line(reason, count), tuple(texts)))
    return tuple(made)

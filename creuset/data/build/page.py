"""The report of a corpus as one HTML page: where the documents of each source went, and why."""

from collections.abc import Mapping, Sequence
from typing import Any

from creuset.report.blocks import Block, Bullets, Chart, Column, Details, Grid, Para, Pre, Section, Span, line
from creuset.report.chart import Bar, bars, columns
from creuset.report.language import Text
from creuset.report.page import page as whole_page

NONE = Para(line(Text("None.", "Aucun.")), "soft")
DOCUMENTS = Text("documents", "documents")


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
                Text(
                    f"{read} documents read, {kept} kept ({share:.1%} of the characters), {held} held out, "
                    f"{dropped} dropped. ",
                    f"{read} documents lus, {kept} gardés ({share:.1%} des caractères), {held} mis de côté, "
                    f"{dropped} écartés. ",
                ),
                Span(Text("content", "contenu"), tone="soft"),
                " ",
                Span(report["content_sha256"][:16], tone="soft mono"),
            )
        ),
        Section(Text("Sources", "Sources"), (_sources(sources),)),
        Section(
            Text("Where the documents of each source went", "Où sont allés les documents de chaque source"),
            tuple(_waterfall(name, one) for name, one in sources.items()),
        ),
        Section(
            Text("Why documents were dropped", "Pourquoi des documents ont été écartés"),
            (_counts([(reason, n["documents"]) for reason, n in _by_count(total["reasons"])], "drop", DOCUMENTS),),
        ),
        Section(
            Text("Length of the documents, in characters", "Longueur des documents, en caractères"),
            _lengths(total["lengths"], total["lengths_dropped"]),
        ),
        Section(
            Text("Languages of what is kept", "Langues de ce qui est gardé"),
            (_counts(_most(total["languages"])[:20], "kept", DOCUMENTS),),
        ),
        Section(
            Text("Personal data masked", "Données personnelles masquées"),
            (_counts(_most(total["masked"]), "held", Text("places", "endroits")),),
        ),
        Section(
            Text("Speed of each stage", "Vitesse de chaque étape"),
            (
                _counts(stages, "kept", Text("MB/s on one core", "Mo/s sur un cœur")),
                Para(
                    line(
                        Text(
                            f"All stages: {rate}. {spent:,} CPU seconds, {clock:,} s by the clock, "
                            f"{speed['workers']} worker(s).",
                            f"Toutes les étapes : {rate}. {spent:,} secondes de calcul, {clock:,} s à l'horloge, "
                            f"{speed['workers']} processus.",
                        )
                    ),
                    "soft",
                ),
                _stages(sources),
            ),
        ),
        Section(Text("Broken lines", "Lignes illisibles"), (Bullets(tuple(broken)) if broken else NONE,)),
        Section(
            Text("Samples of what was dropped", "Exemples de ce qui a été écarté"),
            (
                Para(
                    line(
                        Text(
                            "A fixed random choice for each source and reason, cut at 600 characters.",
                            "Un choix fixe, au hasard, pour chaque source et raison, coupé à 600 caractères.",
                        )
                    ),
                    "soft",
                ),
                *(Section(name, _samples(one["samples"]), level=3) for name, one in sources.items() if one["samples"]),
            ),
        ),
    ]
    return whole_page(Text("Corpus report", "Rapport du corpus"), blocks)


def _by_count(reasons: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return sorted(reasons.items(), key=lambda kv: -kv[1]["documents"])


def _most(counts: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted(counts.items(), key=lambda kv: -kv[1])


def _counts(rows: Sequence[tuple[str, float]], cls: str, unit: Text) -> Chart:
    return Chart(bars([Bar(label, value, f"{value:,}", cls) for label, value in rows], unit))


def _sources(sources: Mapping[str, Any]) -> Grid:
    head = (
        Text("source", "source"),
        Text("licence", "licence"),
        Text("rules", "règles"),
        Text("read", "lus"),
        Text("kept", "gardés"),
        Text("held out", "mis de côté"),
        Text("dropped", "écartés"),
        Text("M characters kept", "M caractères gardés"),
        Text("lines removed", "lignes retirées"),
        Text("masked", "masqués"),
        Text("MB/s a core", "Mo/s par cœur"),
    )
    return Grid(
        tuple(Column(words, "n" if n > 2 else "") for n, words in enumerate(head)),
        tuple(
            (
                Span(name, name=True),
                Span(one["licence"] or Text("unknown", "inconnue")),
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
        (Text("MB/s on one core", "Mo/s sur un cœur"), *(Column(name, "n") for name in names)),
        tuple(
            (Span(name, name=True), *(str(own[s]["mb_s"]) if s in own and own[s]["mb_s"] else "–" for s in names))
            for name, own in speeds.items()
        ),
    )


def _waterfall(name: str, one: Mapping[str, Any]) -> Section:
    """read, minus each reason, leaves held out and kept; bars hang where the last one ended."""
    read = max(1, one["read"]["documents"])
    reasons = _by_count(one["reasons"])
    steps: list[tuple[str | Text, int, str]] = [(reason, n["documents"], "drop") for reason, n in reasons[:8]]
    if rest := sum(n["documents"] for _, n in reasons[8:]):
        steps.append((Text(f"{len(reasons) - 8} other reasons", f"{len(reasons) - 8} autres raisons"), rest, "drop"))
    steps.append((Text("held out", "mis de côté"), one["heldout"]["documents"], "held"))
    kept, end = one["kept"]["documents"], read
    rows = [Bar(Text("read", "lus"), read, _of(read, read), "rest")]
    for label, count, cls in steps:
        end -= count
        rows.append(Bar(label, count, _of(count, read), cls, start=end))
    rows.append(Bar(Text("kept", "gardés"), kept, _of(kept, read), "kept"))
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
    return Chart(columns(pairs, Text("Lengths of documents", "Longueurs des documents"))), Para(
        line(
            square[0],
            Text("kept ", "gardés "),
            square[1],
            Text(
                f"dropped; each pair counts the lengths from the number below it up to twice that. "
                f"Highest column: {top}.",
                "écartés ; chaque paire compte les longueurs depuis le nombre en dessous jusqu'au double. Plus haute "
                f"colonne : {top}.",
            ),
        ),
        "soft",
    )


def _short(number: int) -> str:
    return f"{number // (1 << 20)}M" if number >= 1 << 20 else f"{number // 1024}k" if number >= 1024 else str(number)


def _samples(samples: Mapping[str, Any]) -> tuple[Block, ...]:
    made = []
    for reason, shown in samples.items():
        texts: list[Block] = []
        for one in shown:
            texts += [Para(line(": ".join(filter(None, (one["id"], one["detail"])))), "soft"), Pre(one["text"])]
        count = Span(Text(f" ({len(shown)} shown)", f" ({len(shown)} montrés)"), tone="soft")
        made.append(Details(line(reason, count), tuple(texts)))
    return tuple(made)

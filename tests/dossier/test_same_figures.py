"""One figure is the same on every page that shows it: value, interval and n, rounded alike, in both languages."""

import html
import json
import re
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from creuset.cli import main
from creuset.core.artifact import new_artifact
from creuset.core.sentences import to_json
from creuset.core.stats import share
from creuset.governance.audit.page import page as audit_page
from creuset.governance.audit.run import item_rows
from creuset.governance.dossier.build import build
from creuset.report.language import LANGS, fixed, show
from creuset.report.table import number
from creuset.types.measure import Measure

# Right of asked: ties at the last decimal, what binary numbers round apart, ends, few, many, failed calls.
COUNTS = {"tie": (1, 80), "odd": (7, 2000), "third": (1, 3), "none": (0, 40), "all": (12, 12), "many": (6001, 12032)}
ROUNDED = Decimal("0.001")


def measures(kind: str) -> list[Measure]:
    found = []
    for name, (right, n) in COUNTS.items():
        said = share([1.0] * right + [0.0] * (n - right))
        found.append(Measure(
            task=f"{kind}_set", metric=f"{name}_of_{kind}", score=said.value, interval=said.interval,
            interval_by=said.by,
            n=n, denominator=n, form="chat", date="2026-01-01", requirement="6",
        ))  # fmt: skip
    nats = Measure(task=f"{kind}_set", metric=f"nats_of_{kind}", score=12.34567, unit="nats", n=45, denominator=45,
                   requirement="6")  # fmt: skip
    return [*found, nats]


@pytest.fixture(scope="module")
def folder(root, given, tmp_path_factory) -> Path:
    """An evaluation and an audit of one model, and every page that shows their figures."""
    at = tmp_path_factory.mktemp("same")
    subject = {"sha256": json.loads((root / "base/manifest.json").read_text())["sha256"]}
    for kind in ("evaluation", "audit"):
        with new_artifact(at / kind, kind=kind, parents=[root / "base"]) as scratch:
            rows = [m.row() for m in measures(kind)]
            (scratch / "results.json").write_text(json.dumps(to_json({"model": subject, "results": rows})))
            if kind == "audit":
                document = {"subject": subject, "date": "2026-01-01", "items": item_rows([]), "rows": rows}
                (at / "audit.html").write_text(audit_page(document), encoding="utf-8")
    words = ["eval", "card", str(root / "base"), "--evaluation", str(at / "evaluation"), "--dialogues", "0"]
    assert main([*words, "--out", str(at / "card.md")]) == 0
    assert main(["eval", "report", str(at / "evaluation"), "--out", str(at / "evaluation.html")]) == 0
    build(root / "base", at / "dossier", evaluations=[at / "evaluation"], audits=[at / "audit"], formats=["html"])
    (at / "systems.toml").write_text(
        'title = "A"\n[[system]]\nname = "One"\nevaluations = ["evaluation"]\naudits = ["audit"]\n'
        '[[system]]\nname = "Other"\nreported = "GPT-4o"\n'
    )
    assert main(["compare", "run", str(at / "systems.toml"), "--out", str(at / "compared")]) == 0
    return at


NUMBER = re.compile(r"(?<![\w.])[-−]?\d{1,3}(?:(?:[\u202f\u00a0]\d{3})+)?(?:[.,]\d+)?(?:[\u202f\u00a0 ]?%)?(?![\w.])")


def read(text: str) -> Decimal:
    """A number as any of the pages writes it, a percentage as a share."""
    bare = re.sub(r"[\u202f\u00a0 %]", "", text).replace("−", "-").replace(",", ".")
    return Decimal(bare) / (100 if "%" in text else 1)


def in_rows(page: str, name: str) -> list[list[Decimal]]:
    """The numbers of each row of a table that names the figure."""
    found = []
    for row in re.findall(r"<tr[^>]*>(.*?)</tr>", page, re.DOTALL):
        if re.search(rf"(?<!\w){name}(?!\w)", row):
            row = re.sub(r'<(svg|style|script)\b.*?</\1>|<(\w+) class="fr".*?</\2>', " ", row, flags=re.DOTALL)
            words = html.unescape(re.sub(r"<[^>]+>", " | ", row[row.rindex(name) + len(name) :]))
            if 'lang="fr"' not in page[:200]:  # in English a comma parts thousands
                words = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "\u202f", words)
            found.append([read(one) for one in NUMBER.findall(words)])
    return found


def pages(folder: Path) -> dict[str, str]:
    files = [folder / "evaluation.html", folder / "audit.html", *sorted((folder / "dossier").glob("*/*.html"))]
    files += sorted((folder / "compared").glob("*.html"))
    found = {str(file.relative_to(folder)): file.read_text(encoding="utf-8").replace("<wbr>", "") for file in files}
    lines = (folder / "card.md").read_text(encoding="utf-8").replace("\\_", "_").splitlines()
    return found | {"card.md": "".join(f"<tr>{line}</tr>" for line in lines if line.startswith("|"))}


@pytest.mark.parametrize("kind", ["evaluation", "audit"])
def test_a_figure_is_the_same_on_every_page_that_shows_it(folder: Path, kind: str) -> None:
    shown = pages(folder)
    seen: dict[str, set[str]] = {}
    for measure in measures(kind):
        assert measure.score is not None
        ends = [measure.interval.low, measure.interval.high] if measure.interval else []
        right = {Decimal(repr(x)).quantize(ROUNDED) for x in (measure.score, *ends)} | {Decimal(measure.n)}
        for page, text in shown.items():
            for numbers in in_rows(text, measure.metric):
                if not numbers:
                    continue
                seen.setdefault(measure.metric, set()).add(page)
                said = {x if x == measure.n else x.quantize(ROUNDED) for x in numbers}
                assert Decimal(repr(measure.score)).quantize(ROUNDED) in said, (page, measure.metric, numbers)
                assert said <= right | {Decimal(0), Decimal(6)}, (page, measure.metric, sorted(said - right))
    for metric, where in seen.items():
        kinds = {page.split("/")[0] for page in where}
        wanted = {f"{kind}.html", "dossier", *(["card.md"] if kind == "evaluation" else [])}
        assert wanted <= kinds and {"dossier/en", "dossier/fr"} <= {p[:10] for p in where}, metric
    assert len(seen) == len(measures(kind))


def test_the_head_of_the_card_has_the_figures_as_they_were_measured(folder: Path) -> None:
    head = yaml.safe_load((folder / "card.md").read_text(encoding="utf-8").split("---")[1])
    said = {one["metrics"][0]["type"]: one["metrics"][0] for one in head["model-index"][0]["results"]}
    for measure in measures("evaluation"):
        assert said[measure.metric]["value"] == measure.score and said[measure.metric]["args"]["n"] == measure.n
        if measure.interval:
            assert said[measure.metric]["args"]["low_95"] == measure.interval.low


def test_a_share_is_rounded_alike_as_a_share_and_as_a_percentage() -> None:
    for n in range(1, 400):
        for right in range(0, n + 1, max(1, n // 37)):
            value = right / n
            if value and value < 1e-4:
                continue
            as_share, as_percent = Decimal(number(value)), Decimal(show(value, "pct1", "en").rstrip("%"))
            assert as_share * 100 == as_percent, (right, n)
    assert fixed(1 / 80, 3) == "0.012" and fixed(1 / 80, 1, percent=True) == "1.2"
    assert {show(1234.5, "score", lang) for lang in LANGS} == {"1,234", "1\u202f234"}

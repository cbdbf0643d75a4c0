"""Reading the World Factbook: one `Country` a profile, each fact parsed from its own line.

Source: factbook/factbook.json (CIA World Factbook). Licence: CC0-1.0.
A fact that the profile lacks, or states in a form we do not read, is None: questions
about it are answered with "I do not know".
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from mini_instructions.shelf import Shelf

FILE = "en_world_factbook"
SOURCE = "World Factbook (factbook/factbook.json)"
LICENCE = "CC0-1.0"

# The profile's title -> what people call the country (with its article inside a sentence).
SPOKEN = {
    "DRC": "the Democratic Republic of the Congo", "Congo (Brazzaville)": "the Republic of the Congo",
    "The Bahamas": "the Bahamas",
    "The Dominican": "the Dominican Republic", "The Gambia": "the Gambia", "Burma": "Myanmar",
    "Cabo Verde": "Cape Verde",
    "Côte d'Ivoire": "Ivory Coast", "Holy See (Vatican City)": "Vatican City", "Czechia": "the Czech Republic",
    "Timor-Leste": "East Timor",
    "United States": "the United States", "United Kingdom": "the United Kingdom", "Netherlands": "the Netherlands",
    "Philippines": "the Philippines", "Maldives": "the Maldives", "Comoros": "the Comoros",
    "Seychelles": "the Seychelles",
    "Solomon Islands": "the Solomon Islands", "Marshall Islands": "the Marshall Islands",
    "ct": "the Central African Republic",
    "fm": "Micronesia", "ee": "", "ae": "the United Arab Emirates", "Sao Tome and Principe": "São Tomé and Príncipe",
    "Falkland Islands (Islas Malvinas)": "the Falkland Islands", "Faroe Islands": "the Faroe Islands",
    "Cook Islands": "the Cook Islands",
    "Cayman Islands": "the Cayman Islands", "Isle of Man": "the Isle of Man",
}  # fmt: skip
# Border lists use formal names.
BORDER = {
    "Democratic Republic of the Congo": "the Democratic Republic of the Congo",
    "Republic of the Congo": "the Republic of the Congo",
    "Congo": "the Republic of the Congo", "Cote d'Ivoire": "Ivory Coast", "Burma": "Myanmar",
    "Czechia": "the Czech Republic",
    "Czech Republic": "the Czech Republic", "US": "the United States", "USA": "the United States",
    "UK": "the United Kingdom", "Netherlands": "the Netherlands",
    "UAE": "the United Arab Emirates", "United Arab Emirates": "the United Arab Emirates",
    "Holy See (Vatican City)": "Vatican City",
    "Holy See": "Vatican City", "Timor-Leste": "East Timor", "Central African Republic": "the Central African Republic",
    "The Gambia": "the Gambia", "Gambia, The": "the Gambia", "Dominican Republic": "the Dominican Republic",
    "Turkey (Turkiye)": "Turkey", "Turkiye": "Turkey", "United States": "the United States",
    "United Kingdom": "the United Kingdom",
}  # fmt: skip
CONTINENTS = {"africa": "Africa", "europe": "Europe", "south-america": "South America",
    "north-america": "North America",
              "central-america-n-caribbean": "North America", "east-n-southeast-asia": "Asia", "south-asia": "Asia",
              "central-asia": "Asia",
              "middle-east": "Asia", "australia-oceania": "Oceania"}  # fmt: skip
# Countries whose folder is not their continent, or that lie on two.
PLACED = {"Russia": "Europe and Asia", "Turkey": "Europe and Asia", "Kazakhstan": "Asia and Europe",
    "Egypt": "Africa and Asia",
          "Cyprus": "Europe", "Georgia": "Asia and Europe", "Azerbaijan": "Asia and Europe"}  # fmt: skip
UNCLEAR_CAPITAL = {"Israel", "West Bank", "Bolivia", "South Africa", "Eswatini", "Sri Lanka", "Burundi", "Nauru",
    "Western Sahara", "Gaza, Gaza Strip"}  # fmt: skip

# Where the profile's line carries notes that we do not read, or uses a form that English text does not.
CAPITAL = {"Netherlands": "Amsterdam", "Chile": "Santiago", "Malaysia": "Kuala Lumpur", "Burma": "Naypyidaw",
    "Tanzania": "Dodoma",
           "Benin": "Porto-Novo", "Côte d'Ivoire": "Yamoussoukro"}  # fmt: skip
MONEY = {
    "koruny": "Czech korunas",
    "zlotych": "zlotys",
    "Renminbi yuan": "yuan",
    "leke": "leks",
    "leva": "levs",
    "reals": "reais",
}


@dataclass(frozen=True, slots=True)
class Country:
    """What one profile says. `name` carries its article ("the Gambia"); km2 and metres."""

    name: str
    origin: str
    capital: str | None = None
    continent: str | None = None
    population: int | None = None
    population_year: str = ""
    area: int | None = None
    neighbours: tuple[str, ...] | None = None  # empty: no land border
    languages: tuple[str, ...] | None = None  # official ones
    currency: str | None = None
    highest: tuple[str, int] | None = None
    coastline: int | None = None
    internet: str | None = None
    government: str | None = None
    independence: str | None = None
    climate: str | None = None
    products: tuple[str, ...] = field(default=())
    symbol: str | None = None
    colours: tuple[str, ...] = field(default=())
    adjective: str | None = None

    @property
    def start(self) -> str:
        """The name as the first word of a sentence."""
        return self.name[0].upper() + self.name[1:]

    @property
    def bare(self) -> str:
        return self.name.removeprefix("the ")


def countries(shelf: Shelf) -> list[Country]:
    """The countries of the Factbook that have people and a name, in the order of the file."""
    texts: dict[str, dict[str, str]] = {}
    for document in shelf.read("pretrain", FILE):
        title, _, body = str(document.get("text", "")).partition("\n")
        name, dash, section = title.rpartition(" - ")
        if dash:
            origin = str(document.get("source", ""))
            texts.setdefault(name, {"origin": origin})[section] = body
    found = [read_country(name, sections) for name, sections in texts.items()]
    return [c for c in found if c is not None]


def read_country(title: str, sections: dict[str, str]) -> Country | None:
    """One profile, or None for oceans, empty islands and groups."""
    geography, people = sections.get("Geography", ""), sections.get("People and Society", "")
    government, economy = sections.get("Government", ""), sections.get("Economy", "")
    name = SPOKEN.get(title, f"the {title}" if title.endswith("Islands") else title)
    if not name or not people or "," in title or "(" in name or (len(title) == 2 and title not in SPOKEN):
        return None
    folder = sections["origin"].rpartition(":")[2].split("/")[0]
    people_total = _find(r"(?m)^Population:(?: |\ntotal: )([\d,]+)(?: \((\d{4}))?", people)
    area = _find(r"(?m)^Area:\ntotal ?: ([\d,.]+) sq km", geography)
    peak = _find(r"(?m)^highest point: ([^\d(;]+?)(?: \([^)]*\))? ([\d,]+)(?: m\b|$)", geography)
    coast = _find(r"(?m)^Coastline:[ \n]([\d,]+) km", geography)
    return Country(
        name=name,
        origin=sections["origin"],
        capital=CAPITAL.get(title) or (None if title in UNCLEAR_CAPITAL else _capital(government)),
        continent=PLACED.get(title, CONTINENTS.get(folder)),
        population=_number(people_total[0]) if people_total else None,
        population_year=(people_total[1] or "") if people_total else "",
        area=_number(area[0]) if area and "." not in area[0] else None,
        neighbours=_neighbours(geography),
        languages=_languages(people),
        currency=_currency(economy),
        highest=(peak[0].strip(" ,"), _number(peak[1]))
        if peak and len(peak[0]) < 30 and "unnamed" not in peak[0]
        else None,
        coastline=_number(coast[0]) if coast else None,
        internet=_first(r"(?m)^Internet country code: (\.[a-z]{2})\b", sections.get("Communications", "")),
        government=_first(r"(?m)^Government type: ([a-z][a-zA-Z -]+)$", government),
        independence=_first(
            r"(?m)^Independence: (\d{1,2} [A-Z][a-z]+ (?:19|20|18|17)\d\d) \(from [^()]+\)$", government
        ),
        climate=_climate(geography),
        products=_items(r"(?m)^Agricultural products:[ \n]([a-z][^\n(]+)", economy, 5),
        symbol=_first(r"(?m)^National symbol\(s\): ([a-z][a-z ]{2,30})$", government),
        colours=_items(r"(?m)^National color\(s\): ([a-z][a-z, ]+)$", government, 4),
        adjective=_first(r"(?m)^adjective: ([A-Z][A-Za-z]+)$", people),
    )


def _find(pattern: str, text: str) -> tuple[Any, ...] | None:
    match = re.search(pattern, text)
    return match.groups() if match else None


def _first(pattern: str, text: str) -> str | None:
    match = re.search(pattern, text)
    return match.group(1).strip() if match else None


def _number(text: str) -> int:
    return int(text.replace(",", ""))


def _items(pattern: str, text: str, most: int) -> tuple[str, ...]:
    line = _first(pattern, text)
    items = [item.strip() for item in line.split(",")] if line else []
    return tuple(item for item in items if re.fullmatch(r"[a-z][a-z -]+", item))[:most]


def _capital(text: str) -> str | None:
    name = _first(r"(?m)^Capital:\nname: ([^\n]+)", text)
    if name is None or ";" in name or " and " in name or "none" in name.lower():
        return None
    name = re.sub(r"\s*\([^)]*\)", "", name).strip()
    return {"Washington, DC": "Washington, D.C."}.get(name, name) if len(name) < 30 else None


def _neighbours(text: str) -> tuple[str, ...] | None:
    line = _first(r"(?m)^border countries: ([^\n]+)", text)
    if line is None:
        return () if re.search(r"(?m)^Land boundaries:(?:\ntotal:)? ?0 km", text) else None
    line = re.sub(r"\([^()]*\)", "", line)
    names = []
    for part in line.split(";"):
        match = re.fullmatch(r"\s*([^\d;,]+?)\s+[\d,.]+ km\s*", part)
        if match is None:
            return None
        names.append(BORDER.get(match.group(1), match.group(1)))
    return tuple(names)


def _languages(text: str) -> tuple[str, ...] | None:
    line = _first(r"(?m)^Languages:(?:\nLanguages:)? ([^\n]+)", text)
    if line is None:
        return None
    found = re.findall(r"(?:^|[,;] )([A-Z][A-Za-zéè]+(?: [A-Z][a-z]+)?)(?: \((?!official)[^()]*\))? \(official\)", line)
    return tuple(dict.fromkeys(found)) or None


def _currency(text: str) -> str | None:
    line = _first(r"(?m)^(?:Currency: )?((?:[A-Z][A-Za-zçãéö]+ )*[a-zçãéöí]+) \([A-Z]{3}\) per US dollar", text)
    return MONEY.get(line, line) if line and len(line) < 30 else None


def _climate(text: str) -> str | None:
    line = _first(r"(?m)^Climate: ([a-z][^\n]+)", text)
    if line is None:
        return None
    line = re.split(r";| - |\(", line)[0].strip(" ,")
    return line if 1 <= len(line.split()) <= 14 and not line.startswith(("varies", "in the", "extremely")) else None


def by_name(found: Iterable[Country]) -> dict[str, Country]:
    return {country.name: country for country in found}

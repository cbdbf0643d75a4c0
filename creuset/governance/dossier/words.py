"""Two languages: words in both, and numbers, dates and lists as each of them writes them."""

import datetime
import math
from typing import Any

from creuset.report.language import Lang, Text, in_language

NARROW = "\u202f"       # narrow no-break space: French groups digits and precedes signs with it
SUPER = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
MONTHS = {
    "en": ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December"],
    "fr": ["janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre",
           "novembre", "décembre"],
}
YES = {True: {"en": "yes", "fr": "oui"}, False: {"en": "no", "fr": "non"}}


def show(value: Any, style: str, lang: Lang) -> str:
    """`value` for a reader.

    Styles: auto, int, f0 to f6 (decimals), g1 to g6 (significant digits, powers of ten where they are shorter), short
    (g4 without zeros at the end), pct0 to pct3 (a share as a percentage), pow10 (an exponent), pow (a power of ten
    itself), month and date (ISO strings), text, words (a sentence of a record: in French from the catalogue).
    """
    if value is None:
        return "–"
    if isinstance(value, bool):
        return YES[value][lang]
    if style == "auto":
        style = "int" if isinstance(value, int) else "short" if isinstance(value, float) else "text"
    if style == "words":
        return in_language(value, lang)
    if style == "text" or (isinstance(value, str) and style not in ("date", "month")):
        return str(value)
    if style in ("date", "month"):
        return date(str(value), lang)
    if not math.isfinite(value):
        return "∞" if value > 0 else "–"
    if style == "int":
        return _grouped(f"{value:,.0f}", lang)
    if style == "pow10":
        return "10" + str(value).translate(SUPER)
    if style == "pow":
        return "10" + str(round(math.log10(value))).translate(SUPER)
    if style == "short":
        mantissa, times, power = _significant(float(value), 4, "en").partition(" ×")
        mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        return _grouped(mantissa + times + power, lang)
    digits = int(style[-1])
    if style.startswith("pct"):
        return _grouped(f"{100 * value:,.{digits}f}", lang) + (NARROW + "%" if lang == "fr" else "%")
    if style.startswith("f"):
        return _grouped(f"{value:,.{digits}f}", lang)
    return _significant(float(value), digits, lang)


def _significant(value: float, digits: int, lang: Lang) -> str:
    if value == 0:
        return "0"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    power = int(exponent)
    if -3 <= power < 6:
        return _grouped(f"{float(f'{value:.{digits - 1}e}'):,.{max(0, digits - 1 - power)}f}", lang)
    return f"{_grouped(mantissa, lang)} × 10{str(power).translate(SUPER)}"


def _grouped(english: str, lang: Lang) -> str:
    """`1,234.5` as the language writes it; a true minus sign in both."""
    text = english.replace("-", "−")
    return text.replace(",", NARROW).replace(".", ",") if lang == "fr" else text


def date(iso: str, lang: Lang) -> str:
    """`2026-11-25` (a time behind it is left out) or `2026-11` in words; anything else comes back as it is."""
    try:
        day = datetime.date.fromisoformat(iso[:10] if len(iso) >= 10 else iso + "-01")
    except ValueError:
        return iso
    month = MONTHS[lang][day.month - 1]
    if len(iso) < 10:
        return f"{month} {day.year}"
    number = "1er" if lang == "fr" and day.day == 1 else str(day.day)
    return f"{number} {month} {day.year}"


LABELS: dict[str, Text] = {
    "to_complete": Text("TO COMPLETE", "À COMPLÉTER"),
    "not_recorded": Text("Not in the records", "Absent des enregistrements"),
    "not_applicable": Text("Not applicable", "Sans objet"),
    "elsewhere": Text("Left to the provider of the system", "Relève du fournisseur du système"),
    "below": Text("the recorded compute, {{flops.total}} FLOP, is not above the presumption of "
                  "{{law.systemic_flop}} FLOP.",
                  "le calcul enregistré, {{flops.total}} FLOP, ne dépasse pas la présomption de "
                  "{{law.systemic_flop}} FLOP."),
    "see": Text("The table is under “{field}”.", "Le tableau figure sous « {field} »."),
    "no_audit": Text("no audit of this was given; `creuset audit` measures it.",
                     "aucun audit de ce point n'a été fourni ; `creuset audit` le mesure."),
    "no_evaluation": Text("no evaluation was given; `creuset eval` makes one.",
                          "aucune évaluation n'a été fournie ; `creuset eval` en produit une."),
    "from": Text("source: {source}", "source : {source}"),
    "applies": Text("in application since {date}", "en application depuis le {date}"),
    "applies_later": Text("applies from {date}: not yet", "applicable à compter du {date} : pas encore"),
    "until": Text("time given ends on {date}: it runs", "délai jusqu'au {date} : en cours"),
    "until_over": Text("time given ended on {date}", "délai échu le {date}"),
    "published": Text("published on {date}", "publié le {date}"),
    "operator": Text("stated by the operator, {date}", "déclaré par l'exploitant, {date}"),
    "records": Text("Records behind the figures", "Enregistrements derrière les chiffres"),
    "records_intro": Text(
        "Each figure above is a link to its number in this list (F1, F2 ...), which says where it was read: the "
        "record, the place in it (JSON pointer) and the name of the field, or the arithmetic and the places it reads. "
        "`creuset verify` reads them again.",
        "Chaque chiffre ci-dessus renvoie à son numéro dans cette liste (F1, F2 ...), qui dit où il a été lu : "
        "l'enregistrement, l'endroit (pointeur JSON) et le nom du champ, ou le calcul et les endroits qu'il lit. "
        "`creuset verify` les relit.",
    ),
    "record": Text("record", "enregistrement"),
    "figure": Text("figures", "chiffres"),
    "place": Text("place in the record", "endroit dans l'enregistrement"),
    "artifact": Text("artifact", "artefact"),
    "file": Text("file", "fichier"),
    "hash": Text("sha256 of the file", "sha256 du fichier"),
    "law": Text("Law and thresholds", "Droit applicable et seuils"),
    "law_intro": Text(
        "As of {date}. Primary: the text itself was read. Secondary: several sources that agree. To be confirmed: "
        "check it against the Official Journal before relying on it.",
        "Droit à jour au {date}. Primaire : le texte lui-même a été lu. Secondaire : plusieurs sources concordantes. À "
        "confirmer : à vérifier au Journal officiel avant de s'y fier.",
    ),
    "provision": Text("provision", "disposition"),
    "standing": Text("value, or what holds on {date}", "valeur, ou état au {date}"),
    "source": Text("source", "source"),
    "primary": Text("primary", "primaire"),
    "secondary": Text("secondary", "secondaire"),
    "confirm": Text("to be confirmed", "à confirmer"),
    "made": Text("Made on {date} by creuset {version}", "Établi le {date} par creuset {version}"),
    "as_of": Text("law as of {date}", "droit à jour au {date}"),
    "complete": Text("{filled} of {fillable} fields filled", "{filled} champs remplis sur {fillable}"),
    "count_partly": Text("{n} filled in part", "{n} en partie"),
    "count_missing": Text("{n} to fill", "{n} à remplir"),
    "count_not_applicable": Text("{n} not applicable", "{n} sans objet"),
    "count_elsewhere": Text("{n} left to the provider of the system", "{n} relevant du fournisseur du système"),
    "count_fields": Text("{n} fields in all", "{n} champs en tout"),
    "recipient": Text("recipient", "destinataire"),
    "contents": Text("Documents of this dossier", "Documents de ce dossier"),
    "field": Text("field", "champ"),
    "contents_field": Text("contents", "contenu"),
    "document": Text("document", "document"),
    "state": Text("fields filled", "champs remplis"),
    "state_partly": Text("in part", "en partie"),
    "state_missing": Text("to fill", "à remplir"),
    "state_not_applicable": Text("not applicable", "sans objet"),
    "state_elsewhere": Text("left to others", "relevant d'autrui"),
    "open": Text("What only the operator knows", "Ce que seul l'exploitant sait"),
    "model": Text("model", "modèle"),
    "other_language": Text("given in {spoken} only", "fourni en {spoken} seulement"),
    "manifest_hash": Text("the manifest's own", "celui du manifeste"),
}
LANGUAGE_NAMES: dict[str, Text] = {
    "en": Text("English", "anglais"), "fr": Text("French", "français"), "de": Text("German", "allemand"),
    "es": Text("Spanish", "espagnol"), "it": Text("Italian", "italien"), "zh": Text("Chinese", "chinois"),
}
RECIPIENTS: dict[str, Text] = {
    "AIO": Text("AI Office", "Bureau de l'IA"),
    "NCA": Text("national competent authorities", "autorités nationales compétentes"),
    "DP": Text("downstream providers", "fournisseurs en aval"),
}


def label(key: str, lang: Lang, **values: Any) -> str:
    return LABELS[key].of(lang).format(**values)

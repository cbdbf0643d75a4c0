"""How streets, units and towns are written in the countries whose addresses are recognised: pieces of patterns.

Each country puts the same parts in another order; postal.py composes them. A kind of street is a word that stands
before the name (French, Spanish), behind it (English), or at its end (German). Lists are those of the postal
services: types of ways of La Poste and of Spain's register, suffixes of the United States Postal Service.
"""

from collections.abc import Iterable


def by_first(words: Iterable[str]) -> str:
    """One pattern for all words, grouped by their first letter: where none fits, so many fewer are tried.

    Words of one letter keep their order; a word of another letter can never match at the same place.
    """
    groups: dict[str, list[str]] = {}
    for word in words:
        groups.setdefault(word[0], []).append(word[1:])
    return "(?:" + "|".join(f"{first}(?:{'|'.join(rests)})" for first, rests in groups.items()) + ")"


UPPER = "A-ZÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖÙÚÛÜÝŒ"
CAP = rf"[{UPPER}][\w'’-]*"
SEP = r"(?:\s?[,–—-]\s*|[^\S\n]+|\s?\n\s?)"  # between two parts: a mark, blanks, or a new line
BREAK = r"(?:\s?[,;–—]\s?|\s?\n\s?)"  # one that surely parts them

# --- French: France, Belgium, Switzerland, Luxembourg
_WAYS_FR = (
    "allées?|avenue|av\\.|ave\\.?|boulevard|boul\\.|bd\\.?|bld\\.?|blvd\\.?|boucle|carrefour|chaussée|chemin|ch\\.|"
    "chem\\.|cité|"
    "clos|corniche|côte|coteau|cour|cours|crs|degrés|descente|digue|domaine|drève|escaliers?|esplanade|faubourg|fbg?|"
    "fg|galerie|"
    "grande[ -]rue|grand['’]?[ -]rue|hameau|impasse|imp\\.|jardins?|levée|lotissement|mail|montée|parc|parvis|passage|"
    "pass\\.|"
    "place|pl\\.|placette|promenade|prom\\.|quai|quartier|rampe|résidence|rocade|rond-point|route|rte\\.?|rue|r\\.|"
    "ruelle|sente|"
    "sentier|square|sq\\.|terrasse|traverse|venelle|villa|village|voie|vieux chemin|petite rue|vieille rue"
)
_NAMED = [way for way in _WAYS_FR.split("|") if way[-1] not in ".?"]
WAY_FR = by_first(
    [*_WAYS_FR.split("|"), *(way[0].upper() + way[1:] for way in _NAMED), *(way.upper() for way in _NAMED)]
)
NUMBER_FR = r"\d{1,4}(?:[ -]?(?:bis|ter|quater|BIS|TER|[A-Ha-h]\b))?(?:[/-]\d{1,4}(?: ?(?:bis|ter))?)?"
UNIT_FR = (
    r"(?:b[âa]t(?:iment|\.)?|esc(?:alier|\.)?|app(?:artemen)?t\.?|apt\.?|étage|entrée|hall|porte|immeuble|imm\.|"
    r"résidence|Résidence|\d{1,2}(?:er|e|ème) étage|BP|CS|B\.P\.|lieu-?dit|Lieu-?dit|c/o|cidex|boîte|bte)"
    r"\b[^\n;:!?,]{0,35}"
)
BUILDING_FR = (
    r"(?:(?:Résidence|Immeuble|Bâtiment|Bât\.|Appartement|Appt?\.?|Apt\.?)\s[^\n,;:!?]{1,30}(?:,\s|\s?\n\s?))?"
)
PLACE_FR = (  # what stands where no house has a number
    r"(?:[Ll]ieu-?dit|[Hh]ameau|[Rr]oute|[Cc]hemin|Mas|[Ff]erme|[Dd]omaine|Château|Moulin|Résidence|[Vv]illage|"
    r"[Qq]uartier|[Zz]one (?:artisanale|industrielle|commerciale|d['’]activités?)|Z\.?[AI]\.?(?:C\.?)?|Le Bourg|Chez)"
)
TOWN_FR = (
    rf"(?:(?:Le|La|Les|LE|LA|LES|Saint|Sainte|SAINT|SAINTE|St|Ste|Bourg|Fort|Mont|Villers|Port)[ -]|L['’])?{CAP}"
    rf"(?:[ -](?:sur|sous|en|lès|lez|de|du|des|la|le|les|d['’]|l['’]|aux?|et)(?:[ -](?:la|le|les))?[ -]?{CAP}){{0,2}}"
    r"(?: (?:CEDEX|Cedex|cedex)(?: \d{1,2}\b)?| \d{1,2}(?:e|er|ème)\b)?"
)
CODE_FR = r"(?:F-|FR-)?(?:0[1-9]|[1-8]\d|9[0-8])\d ?\d{2}"
CODE_BE = r"(?:B-|CH-|L-|BE-|LU-)?[1-9]\d{3}"

# --- German: Germany, Austria, Switzerland
_PREPOSITION = (
    r"(?:Am|An der|An den|An|Im|In der|In den|In dem|Auf der|Auf dem|Auf den|Auf|Zum|Zur|Zu den|Unter den|Unter der|"
    r"Bei der|Bei den|Beim|Hinter der|Hinter dem|Vor dem|Vor der|Ob der|Über der|Alter?|Alte[rs]?|Neue[rs]?|Große[rs]?|"
    r"Kleine[rs]?|Lange[rs]?|Kurze[rs]?|Hohe[rs]?|Obere[rs]?|Untere[rs]?|Hintere[rs]?|Vordere[rs]?|Breite[rs]?|Sankt|"
    r"St\.)"
)
_KIND_DE = (
    r"(?:[Ss]tra(?:ß|ss)e|[Ss]tr\.?|[Gg]asse|[Gg]ässle|[Gg]ässchen|[Ww]eg|[Pp]latz|[Aa]llee|[Uu]fer|[Dd]amm|[Rr]ing|"
    r"[Ss]tieg|"
    r"[Ss]teig|[Hh]of|[Mm]arkt|[Bb]erg|[Gg]raben|[Cc]haussee|[Pp]fad|[Pp]ark|[Tt]or|[Ww]all|[Zz]eile|[Kk]amp|[Ff]eld|"
    r"[Gg]arten|"
    r"[Hh]öhe|[Bb]rücke|[Tt]wiete|[Kk]ai|[Ll]eite|[Hh]alde|[Ww]inkel|[Rr]ain|[Bb]ogen|[Pp]romenade|[Dd]eich|[Ee]ck|"
    r"[Gg]rund|"
    r"[Aa]nger|[Bb]leiche|[Bb]usch|[Ss]iedlung|[Tt]errasse|[Aa]cker|[Ww]iesen?|[Tt]al|[Hh]ain|[Ww]ald|[Ll]ände|"
    r"[Rr]edder|"
    r"[Ss]traat|[Ll]aan|[Pp]lein|[Kk]ade|[Kk]oppel|[Ww]arft|[Ss]tiege|[Zz]entrum|[Ss]chanze|[Bb]rink|[Ww]urt)"
)
STREET_DE = (
    rf"(?:{_PREPOSITION}(?: {CAP}){{1,3}}|(?:{_PREPOSITION} )?[{UPPER}][\wäöüß'’-]*{_KIND_DE}"
    rf"|(?:[{UPPER}][\wäöüß-]*[\w] )?[{UPPER}][\wäöüß-]*(?:er|e|n|s)? {_KIND_DE}|"
    rf"(?:{CAP}-){{1,3}}{_KIND_DE})"
)
NUMBER_DE = (
    r"(?:Nr\.\s?)?\d{1,4}(?:[^\S\n]?[a-kA-K]\b(?:[-–][a-k]\b)?)?(?:[^\S\n]?[-–/+][^\S\n]?\d{1,4}(?:[^\S\n]?[a-k]\b)?)?"
)
# Any name and a number, where a mark, a code and a town follow; but not a noun that is counted.
_COUNTED_DE = (
    r"(?:Seite|Kapitel|Absatz|Band|Satz|Platz|Tag|Artikel|Paragra(?:f|ph)|Nummer|Teil|Abschnitt|Raum|Gruppe|Nr|Abb|"
    r"Abbildung|Tabelle|Zeile|Version|Gleis|Zimmer|Etage|Stock|Klasse|Ausgabe|Heft|Folge|Stufe|Woche|Jahr|Punkt|"
    r"Position|"
    r"January|February|March|June|July|October|December|Januar|Jänner|Februar|März|April|Mai|Juni|Juli|August|"
    r"September|Oktober|November|Dezember|Anlage|Anhang|Kilometer|"
    r"Montag|Dienstag|Mittwoch|Donnerstag|Freitag|Samstag|Sonntag|Halle|Stand|Tor|Linie|Bus|Tram|Zug|Ziffer|Grad|Level|"
    r"Telefon|Tel|Fax|Postfach|Konto|Rang|Runde|Spieltag|Minute|Uhr|Aufgabe|Frage|Bild|Figur)\b"
)
PLAIN_DE = rf"(?!{_COUNTED_DE})[{UPPER}][\wäöüß'’-]{{2,}}(?: (?!{_COUNTED_DE})[{UPPER}][\wäöüß'’-]+){{0,2}}"
_MEASURED_DE = (
    r"(?:Euro|Menschen|Einwohner\w*|Wörter|Zeilen|Schritte|Autos|Zuschauer\w*|Stück|Meter|Kilometer|Tonnen|"
    r"Besucher\w*|Fans|"
    r"Exemplare|Dollar|Mark|Franken|Punkte|Personen|Seiten|Bücher|Kinder|Fälle|Stimmen|Soldaten|Teilnehmer\w*|Gäste|"
    r"Liter|"
    r"Jahre|Stunden|Tote|Besuche|Klagen|Arbeiter|Mitglieder|Tickets|Plätze|Wohnungen|Haushalte|Familien|Uhr|Prozent|"
    r"Grad|"
    r"Münzen|Gramm|Kilo\w*|Schüler\w*|Studenten|Kunden|Mitarbeiter\w*)\b"
)
TOWN_DE = (
    rf"(?!{_MEASURED_DE})(?:(?:Bad|Sankt|St\.|Markt|Neu|Alt|Groß|Klein|Hohen) )?{CAP}"
    rf"(?: (?:am|an der|an den|im(?! (?:J|F|M|A|S|O|N|D)\w+(?:r|z|l|i|t|n)\b)|in der|bei|ob der|vor der|auf dem"
    rf"|a\.[^\S\n]?d\.|a\.|i\.)[^\S\n]?{CAP}|/{CAP}| \({CAP}\))?"
)
CODE_DE = r"(?:D-|A-|CH-|DE-|AT-)?\d{4,5}"

# --- Spanish, Catalan, Galician
STREET_ES = (
    r"(?:[Cc]alle|CALLE|[Cc]/|[Cc]\.|[Cc]l\.|[Aa]venida|AVENIDA|[Aa]v(?:da|d)?\.?|[Aa]vinguda|[Pp]laza|PLAZA|[Pp]laça|"
    r"[Pp]raza|"
    r"[Pp]za\.?|[Pp]l\.|[Pp]aseo|[Pp]asseig|[Pp]º|[Cc]amino|[Cc]amí|[Rr]onda|[Tt]ravesía|[Cc]arretera|[Cc]tra\.?|"
    r"[Gg]lorieta|"
    r"[Rr]ambla|[Gg]ran [Vv]ía|[Cc]allejón|[Cc]alleja|[Pp]asaje|[Pp]je\.|[Cc]arrer|[Cc]uesta|[Bb]arrio|[Bb]arriada|"
    r"[Uu]rbanización|[Uu]rb\.|[Aa]lameda|[Vv]ía|[Bb]ulevar|[Ss]enda|[Ss]endero|[Rr]úa|[Pp]olígono(?: [Ii]ndustrial)?|"
    r"[Pp]ol\. ?[Ii]nd\.|[Pp]arque|[Cc]ostanilla|[Cc]orredera|[Cc]añada|[Mm]uelle|[Pp]artida|[Ll]ugar|[Aa]ldea|"
    r"[Ff]inca|[Bb]ajada|"
    r"[Ss]ubida|[Ee]scalinata|[Aa]cera|[Cc]arrera|[Pp]asadizo|[Pp]uerta|[Pp]uente|[Vv]ereda)"
)
NUMBER_ES = (
    r"(?:(?:n[º°.]|núm\.?|número|nro\.?|km|p\.k\.|parcela|bloque|portal|nave|manzana|edificio)\s?)?"
    r"\d{1,4}(?:[^\S\n]?(?:bis|dupl\.?|[A-F]\b))?(?:[^\S\n]?[-–/][^\S\n]?\d{1,4})?|s/n\.?|S/N|sin número"
)
UNIT_ES = (
    r"(?:\d{1,2}(?:\.?[ºª°]|\.?er|\.?o)(?:\s?(?:[A-H]\b|izq\w*\.?|dcha\.?|derecha|izquierda|centro|\w{1,3}\b))?|piso|"
    r"planta|"
    r"portal|bloque|esc\w*\.?|puerta|pta\.?|bajo|ático|nave|local|parcela|\d{1,2}[- ]?[A-H]\b|[A-H]\b|"
    r"edificio)[^\n;:!?,]{0,25}"
)
_PLACES_ES = "A|La|El|Las|Los|San|Santa|Santo|Sant|Vila|Puerto|Puente|Ciudad|Villa|Alcalá|Torre|Castro|Jerez|Palma"
TOWN_ES = (
    rf"(?:(?:{_PLACES_ES})(?= {CAP}| de) |L['’])?(?:{CAP}|(?<=Ciudad )(?=de))"
    rf"(?: ?(?:de|del|y|do|da|d['’])(?: (?:la|las|los|el))? ?{CAP}){{0,2}}(?: \({CAP}(?: {CAP})?\))?"
)
CODE_ES = r"(?:E-)?(?:0[1-9]|[1-4]\d|5[0-2])\d{3}"

# --- English: the United Kingdom, Ireland, the United States, Canada
STATES = (
    "AL|AK|AZ|AR|CA|CO|CT|DE|FL|GA|HI|IA|ID|IL|IN|KS|KY|LA|MA|MD|ME|MI|MN|MO|MS|MT|NC|ND|NE|NH|NJ|NM|NV|NY|OH|OK|OR|"
    "PA|RI|SC|"
    "SD|TN|TX|UT|VA|VT|WA|WI|WV|WY|DC|PR|Alabama|Alaska|Arizona|Arkansas|California|Colorado|Connecticut|Delaware|"
    "Florida|"
    "Georgia|Hawaii|Iowa|Idaho|Illinois|Indiana|Kansas|Kentucky|Louisiana|Massachusetts|Maryland|Maine|Michigan|"
    "Minnesota|"
    "Missouri|Mississippi|Montana|North Carolina|North Dakota|Nebraska|New Hampshire|New Jersey|New Mexico|Nevada|"
    "New York|"
    "Ohio|Oklahoma|Oregon|Pennsylvania|Rhode Island|South Carolina|South Dakota|Tennessee|Texas|Utah|Virginia|Vermont|"
    "Washington|Wisconsin|West Virginia|Wyoming"
)
_PROVINCES = "AB|BC|MB|NB|NL|NS|NT|NU|ON|PE|QC|SK|YT"
CODE_UK = r"[A-Z]{1,2}\d[A-Z\d]?[^\S\n]?\d[ABD-HJLNP-UW-Z]{2}\b"
CODE_EN = (
    rf"(?:(?:{STATES}),?\s\d{{5}}(?:-\d{{4}})?\b|{CODE_UK}|"
    rf"(?:(?:{_PROVINCES}),?\s)?(?![DFIOQUWZ])[A-Z]\d[A-Z][ -]?\d[A-Z]\d\b"
    r"|Dublin \d{1,2}W?\b(?:,? D\d[\dW] ?[A-Z\d]{4}\b)?|[ACDEFHKNPRTVWXY]\d[\dW] [A-Z][A-Z\d]{3}\b)"
)
WORD_EN = (
    rf"(?:[{UPPER}#][\w'’.-]*|\d{{1,3}}(?:st|nd|rd|th)|\d{{1,3}}[NSEW]?(?=,|\s[{UPPER}#])|of|the|on|upon|in|at|under|"
    rf"by|le|y|"
    r"de|la|del|and|&|1/2)"
)
UNIT_EN = (
    r"(?:Flat|Unit|Apartment|Apt\.?|Suite|Ste\.?|Floor|Room|Rm\.?|Building|Bldg\.?|Lot|Studio|Block|Office|#)"
    r"\s?#?\w{1,5}"
)
_KINDS_EN = (
    "Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Boulevard|Blvd|Terrace|Ter|Crescent|Cres|Way|Close|Court|Ct|"
    "Gardens|Gdns|"
    "Square|Sq|Place|Pl|Grove|Hill|Row|Mews|Park|Parade|Walk|Rise|View|Circle|Cir|Highway|Hwy|Parkway|Pkwy|Trail|Trl|"
    "Loop|"
    "Alley|Plaza|Quay|Wharf|Green|Broadway|Vale|Mount|Croft|Drove|Heights|Ridge|Run|Turnpike|Pike|Bypass|Esplanade|"
    "Causeway"
)
KIND_EN = rf"{by_first(_KINDS_EN.split('|'))}\b"
HOUSE_EN = (
    r"(?:The\s)?(?:[A-Z][\w'’-]*\s){0,3}(?:House|Cottage|Farm|Lodge|Hall|Rectory|Vicarage|Mill|Mills|Barn|Manor|"
    r"Grange|Court|"
    r"Barns|Villa|Priory|Bungalow|Chambers|Tower|Works|Farmhouse)"
)

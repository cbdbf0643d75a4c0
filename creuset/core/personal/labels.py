"""What people write before a number to say what it is: `Tel.`, `Order no.`, `Zählerstand`. The nearest one decides.

A label holds until another number, a sentence's end or more than three words stand between. `number`, `n°`, `Nr.` and
`nº` take their meaning from the noun beside them: `numéro de dossier` and `Bestellnummer` are references, `Rufnummer`
and `numéro de téléphone` are not.
"""

import re

# Words behind which a number is dialled.
PHONE = re.compile(
    r"(?:t[ée]l(?:[ée]phone|\.|efon\w*|éfono|\b)|telf?\b|phone|mobile?\b|mobilnummer|portable|gsm\b|natel\b|m[oó]vil|"
    r"celular|"
    r"handy|fax|cell|call(?:ed|ing)?\b|ring\b|text(?:ed)? (?:me|him|her|us)|text me|dial|appel\w*|joindre|joint (?:au|"
    r"à)|"
    r"joignable|rappel\w*|contact\w*|sms|shout on|reach\b|"
    r"r[ée]ception|recepci[oó]n|accueil|zentrale|centralita|switchboard|landline|voicemail|festnetz|fijo\b|"
    r"mi n[uú]mero|"
    r"my number|new number|mon num[ée]ro|mon 0\d|meine nummer|neue nummer|num[ée]ro du|numéro de la|tfno|tlf\b|telf\b|"
    r"\w*ruf\b|rufen?\b|ruf (?:mich|einfach)|erreich\w*|whats ?app|signal\b|anruf\w*|ruf\w*nummer|erreichbar|"
    r"ll[aá]m\w*|"
    r"llam[oó]|marque\b|no contesta|recado|un message au|leave a message|nachricht|n[uú]mero de tel\w*|"
    r"n[uú]mero de contacto|hotline|helpline|durchwahl|standard\b|permanence|astreinte|"
    r"urgence|urgencias|notdienst|ligne|lignes|num ?:|composez|compose\b|☎|☏|📞|📱|✆|\bT\.? ?:|\bF\.? ?:|\bM\.? ?:|"
    r"\bph\.?:)",
    re.I,
)
# Those that announce nothing but a telephone number: behind them the plan of any country will do.
_STRONG = re.compile(
    r"(?:t[ée]l(?:[ée]phone|\.|efon\w*|éfono|\b)|\btelf?\b|phone\b|\bmobile?\b|mobilnummer|portable|\bgsm\b|natel\b|"
    r"m[oó]vil|"
    r"celular|"
    r"handy\b|\bfax|\bcell\b|whats ?app|tfno|tlf\b|☎|☏|📞|📱|✆|voicemail|landline|festnetz|rufnummer|my number)",
    re.I,
)
_FOLLOWS = re.compile(
    r"\W{1,3}(?:\(?t[ée]l\b|\(?phone\b|\(?mobile?\b|\(?portable\b|\(?fax\b|\(?cell\b|\(?whats ?app\b|\(?handy\b|"
    r"\(?m[oó]vil\b|"
    r"c['’]est (?:le|mon) (?:portable|num[ée]ro|t[ée]l))",
    re.I,
)
_NOUN = (
    r"isbn|issn|ean|doi|r[ée]fs?|r[ée]f[ée]rences?|referenz|referencia|commandes?|orders?|invoices?|factures?|"
    r"rechnung\w*|bestell\w*|"
    r"pedidos?|facturas?|dossiers?|tickets?|sku|articles?|artikel\w*|art[ií]culos?|id|code|c[oó]digo|siren|siret|rcs|"
    r"tva|iban|"
    r"comptes?|konto\w*|accounts?|cuentas?|versions?|patents?|brevets?|pubmed|pmid|oclc|arxiv|serial|s[ée]rie|serie|"
    r"imei|vin|"
    r"population|colis|suivi|tracking|sendung\w*|env[ií]o|contrats?|contracts?|contratos?|contrato|matricules?|"
    r"matr[ií]culas?|"
    r"lots?|lotes?|losnummer|policy|policies|poli[cs]es?|p[oó]lizas?|compteurs?|contador|meter|reading|"
    r"z[äa]hler\w*|aktenzeichen|expedientes?|catastral|fahrgestell\w*|presupuestos?|devis|quote|abonn[ée]s?|"
    r"abonnements?|"
    r"habitantes|bilan|cusip|cotes?|combinaci[oó]n|customer id|"
    r"r[ée]p[ée]titions|dossier|receipt|re[çc]u|quittung|recibo|bordereau|license|licen[cs]e|licencia|kennzeichen|"
    r"vertrags?\w*|vorgang\w*|kunden\w*|mitglied\w*|seriennr|teile\w*|charge\w*|beleg\w*|steuer\w*|kassen\w*|"
    r"seconds?|timestamp|checksum|hash|crc|isrc|employee id|student id"
)
_NUMBER_OF = (  # `number`, whose noun says what it counts
    r"\b(?:num[ée]ros?|n[°o]s?\.?|nº|n\.º|no\.|num[ée]ro|n[uú]mero|nro\.?)\s?(?:de |du |d['’]|des |del |de la )"
    r"(?!t[ée]l|portable|mobile|m[oó]vil|fax|contact|appel|ligne|urgence|permanence|ma |mon |sa |son |ta |ton |mi )\w+|"
    r"\b(?!tele|phone|mobile|cell|fax|contact|home|work|office|new|my|his|her|their|our|your|emergency|direct|the|a|"
    r"whatsapp|toll|room|main|landline|hotline)[a-z]{3,} (?:number|no\.|nr\.?|num\.|#|id\b)|"
    r"\b(?!tele|ruf|handy|mobil|fax|not|durchwahl|kontakt)\w{3,}(?:nummer|nr\b\.?)|"
    r"\b(?:n°|nº|no\.|nr\.)(?!\s?(?:de |d['’])?(?:t[ée]l|fax|contact))"
)
# Words that mean much else too: they count directly before the number only.
_DIRECT = (
    r"parts?|case|batch|file|fichier|model|modell|modèle|modelo|series|claim|grant|application|flight|vol|flug|vuelo|"
    r"bond|page|"
    r"seite|p[áa]gina|chapter|room|salle|score|cas no"
)
_BETWEEN = r"[^\w]{0,4}(?:[^\W\d]{1,14}[^\w]{1,3}){0,2}"
_REFERENCE = re.compile(
    rf"(?:\b(?:{_NOUN})\b{_BETWEEN}|(?:{_NUMBER_OF}){_BETWEEN}|\b(?:{_DIRECT})\W{{1,3}}|#\s?)$", re.I
)
_DRAW = (
    r"powerball|euro ?millions?|bonoloto|keno|primitiva|gagnants?|tirages?|compl[ée]mentaires?|"
    r"loto|lotto|lottery|winning|ziehung|gewinnzahl\w*|sorteo|ganador\w*"
)
DRAWN = re.compile(rf"\b(?:{_DRAW})\b{_BETWEEN}$", re.I)
_STOP = re.compile(r"(?<!r[ée]f)(?<!\bn[or])(?<!num)[.!?;]\s|\d|\n", re.I)


def strong(near: str) -> bool:
    """Whether `near`, what stands before a number, announces a telephone number and nothing else."""
    return _STRONG.search(near) is not None


def phone_follows(line: str, end: int) -> bool:
    """Whether the word behind the number says that it is dialled: `33 3615 4490, tel. de oficina`."""
    return _FOLLOWS.match(line, end) is not None


def reference(line: str, start: int) -> bool:
    """Whether the nearest label before `start` says that a reference follows, not a telephone number."""
    near = line[max(0, start - 60) : start]
    cut = max((stop.end() for stop in _STOP.finditer(near)), default=0)
    near = near[cut:] if not re.fullmatch(r"\W*", near[cut:]) else near
    found = _REFERENCE.search(near)
    # `Mobile no.`: the word before says what is counted.
    return found is not None and PHONE.search(near, max(0, found.start() - 10)) is None

"""Keys and passwords of known forms. No library is needed, so logs can use it too.

Each form is what its maker documents: a prefix that nobody else uses and a length. A password is known by the word
before it. `password: required` is none: a password has a digit, a mark or capitals among small letters.
"""

import re
from collections.abc import Iterator

_FORMS = (
    r"(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])",  # AWS
    r"gh[pousr]_[A-Za-z0-9]{36,251}|github_pat_[A-Za-z0-9_]{60,}",
    r"glpat-[\w-]{20,}",
    r"sk-(?:ant-|proj-|svcacct-|or-v1-)?[A-Za-z0-9_-]{20,}",  # OpenAI, Anthropic, OpenRouter and others
    r"(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,}",  # Stripe
    r"whsec_[A-Za-z0-9+/=]{24,}",
    r"AIza[\w-]{35}",  # Google
    r"ya29\.[\w-]{20,}",
    r"GOCSPX-[\w-]{28}",
    r"xox[abeoprs]-[A-Za-z0-9-]{10,}",  # Slack
    r"https://hooks\.slack\.com/services/T\w+/B\w+/\w+",
    r"hf_[A-Za-z0-9]{30,}",  # Hugging Face
    r"npm_[A-Za-z0-9]{36}",
    r"pypi-AgEI[\w-]{40,}",
    r"SG\.[\w-]{16,}\.[\w-]{16,}",  # SendGrid
    r"key-[0-9a-f]{32}",  # Mailgun
    r"dop_v1_[0-9a-f]{64}",  # DigitalOcean
    r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}",  # Shopify
    r"\d{8,10}:AA[\w-]{33}",  # Telegram
    r"AGE-SECRET-KEY-1[0-9A-Z]{58}",
    r"eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}",  # JSON web token
    r"crs-[\w-]{43}[A-Za-z0-9]{6}",  # ours
)
_KEY = re.compile(rf"(?<![\w-])(?:{'|'.join(_FORMS)})")
# A form is looked for only where its hint stands, so many characters behind its beginning; hints with a mark are
# looked for only in texts that have the mark.
_HINTS = {"AKIA": 0, "ASIA": 0, "AIza": 0, "ya29.": 0, "xox": 0, "hooks.slack": 8, "SG.": 0, "eyJ": 0, ":AA": 10}
_WITH_MARK = {
    "_": dict.fromkeys(("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "whsec_", "hf_", "npm_", "dop_v1_",
                        "shpat_", "shpca_", "shppa_", "shpss_"), 0) | {"_live_": 2, "_test_": 2},
    "-": dict.fromkeys(("glpat-", "sk-", "GOCSPX-", "pypi-", "key-", "AGE-SECRET", "crs-"), 0),
}  # fmt: skip
_PEM = re.compile(
    r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----.*?(?:-----END (?:[A-Z0-9]+ )*PRIVATE KEY-----|\Z)", re.DOTALL
)
_BEARER = re.compile(r"\b(?:Bearer|Basic) +([A-Za-z0-9+/_.~-]{16,}=*)")
_IN_URL = re.compile(r"://(?<=[a-z0-9+.-]{2}://)[^\s/:@]{1,64}:([^\s/@]{1,128})@[\w.-]")
_WORDS = (
    r"password|passwd|passphrase|passcode|pass|pwd|pw|mot de passe|mdp|passwort|kennwort|contraseña|clave|"
    r"api[_ -]?key|secret[_ -]?access[_ -]?key|clé d['’]api|secret[_ -]?key|"
    r"access[_ -]?token|auth[_ -]?token|client[_ -]?secret"
)
_ANNOUNCED = re.compile(
    rf"(?:{_WORDS})[\"'`]?(?:(?: \w+){{0,6}}\s*(?::=|=>|[:=])\s*|\s+(?:is|est|ist|es|lautet)\s*:?\s+)"
    r"(?P<quote>[\"'`«“]?)\s?(?P<value>[^\s\"'`»”<>{},;()\[\]]{6,128})",
    re.I,
)
_TWO = ("api key", "secret key", "access token", "auth token", "client secret")
# By a piece that all of them have, so that most texts are searched for the pieces only.
_WORD_HINTS = {
    "pass": ("password", "passwd", "passphrase", "passwort", "passcode", "pass", "mot de passe"),
    "pw": ("pwd", "pw"),
    "mdp": ("mdp",),
    "kennwort": ("kennwort",),
    "contraseña": ("contraseña",),
    "clave": ("clave",),
    "clé d": ("clé d",),
    "secret": ("secret access key", "secret_access_key"),
    **{piece: tuple(words.replace(" ", joint) for words in _TWO if piece in words for joint in (" ", "_", "-", ""))
       for piece in ("key", "token", "client")},
}  # fmt: skip
_PLACEHOLDER = re.compile(
    r"(?:pass(?:word|wd)?$|pwd$|mot-?de-?passe$|secret$|"
    r"\$|x{3,}|\*{3,}|\.{3,}|your|votre|ihr|tu_|change|example|exemple|beispiel|ejemplo|placeholder|redacted|none|null|"
    r"true|false|os\.|env|getenv|process\.|self\.|settings|config|secrets?\.|required|optional)",
    re.I,
)


def secrets(text: str, low: str | None = None) -> Iterator[tuple[int, int]]:
    """Where keys and passwords stand in `text`; `low` is it in small letters, if somebody has made them already."""
    for hints in (_HINTS, *(hints for mark, hints in _WITH_MARK.items() if mark in text)):
        for hint, behind in hints.items():
            at = text.find(hint)
            while at >= 0:
                # Digits before `:AA` are 8 to 10; everything else begins at one place.
                starts = range(at - behind, at - 7) if hint == ":AA" else (at - behind,)
                if found := next(
                    (match for start in starts if start >= 0 and (match := _KEY.match(text, start))), None
                ):
                    yield found.span()
                at = text.find(hint, at + 1)
    if "PRIVATE KEY-----" in text:
        for match in _PEM.finditer(text):
            yield match.span()
    if "://" in text and "@" in text:
        for match in _IN_URL.finditer(text):
            if not _PLACEHOLDER.match(match[1]):
                yield match.span(1)
    if "Bearer" in text or "Basic" in text:
        for match in _BEARER.finditer(text):
            yield match.span(1)
    low = text.lower() if low is None else low
    if len(low) == len(text):  # a few letters of other alphabets grow when they are made small
        for hint in (hint for piece, hints in _WORD_HINTS.items() if piece in low for hint in hints):
            at = low.find(hint)
            while at >= 0:
                said = _ANNOUNCED.match(text, at) if at == 0 or not text[at - 1].isalpha() or len(hint) > 4 else None
                if said and _looks_drawn(value := said["value"].rstrip(".!?:")):
                    start = said.start("value")
                    yield start, start + len(value)
                at = low.find(hint, at + 1)


def _looks_drawn(value: str) -> bool:
    """Not a word, a name of a variable or a placeholder."""
    if len(value) < 6 or _PLACEHOLDER.match(value):
        return False
    kinds = (
        any(c.isdigit() for c in value),
        any(not c.isalnum() and c not in "_.-/" for c in value),
        any(c.islower() for c in value) and any(c.isupper() for c in value[1:]),
    )
    return kinds[0] + kinds[1] + kinds[2] >= (1 if kinds[0] else 2) and not re.fullmatch(
        r"[A-Za-z_]+\.[A-Za-z_.]+", value
    )

"""Articles of law beside a requirement, as pages write them: in both languages: whom they bind, how sure we are.

Articles 8 to 15 of the AI Act and its Annex IV bind high-risk systems only. Nothing measured here says that a system is
one: each page says it beside the article. An article that was not checked is marked so, as law.toml has it.
"""

import re
import tomllib
from functools import cache
from pathlib import Path

from creuset.core.sentences import sentence

LAW = Path(__file__).parents[1] / "dossier" / "law.toml"
HIGH_RISK = re.compile(r"AI Act (8|9|1[0-5])(\D|$)|AI Act Annex IV")
IN_LAW = {
    "Charter 21": "charter",
    "Directive 2000/43/EC": "race_directive",
    "Directive 2000/78/EC": "employment_directive",
    "Code du travail L1132-1": "labour_code",
    "Code pénal 225-1": "penal_code",
}
TEXTS = (  # how a name begins, and its sentence
    ("AI Act Annex ", "audit.law_annex"),
    ("AI Act ", "audit.law_ai_act"),
    ("GDPR ", "audit.law_gdpr"),
    ("Charter ", "audit.law_charter"),
    ("EDPB Opinion ", "audit.law_edpb"),
    ("Directive ", "audit.law_directive"),
)


@cache
def _basis() -> dict[str, str]:
    """How each provision of law.toml is known: primary, secondary, confirm."""
    return {row["id"]: row["basis"] for row in tomllib.loads(LAW.read_text(encoding="utf-8"))["provision"]}


def article(name: str) -> str:
    """`AI Act 15(1)` -> a sentence that says it, with whom it binds and whether it is to be confirmed."""
    marks = [sentence("audit.high_risk_only")] if HIGH_RISK.match(name) else []
    marks += [sentence("audit.ban_of_2026")] if name == "AI Act 5(1)(i)" else []
    marks += [sentence("audit.to_be_confirmed")] if _basis().get(IN_LAW.get(name, "")) == "confirm" else []
    said = next((sentence(key, at=name.removeprefix(start).removesuffix("/EC")) for start, key in TEXTS
                 if name.startswith(start)), name)  # fmt: skip
    return sentence("audit.article_marked", article=said, marks=marks) if marks else said

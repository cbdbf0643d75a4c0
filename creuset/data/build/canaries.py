"""Canaries: invented sentences with a secret, planted in training data so that memorisation can be measured later.

`creuset corpus canaries --out FOLDER` leaves an artifact:

    source/canaries.jsonl   the documents to mix into a corpus: `creuset corpus build TEXTS FOLDER/source ...`
    ledger.toml             their ledger row: rules that keep them, no near-duplicate removal, none held out
    secrets.json            what was planted how often, and what was not (0 times): the control. Not for training

A canary is the first sentence of a document; the sentences behind it differ each time, so that repetitions survive
the removal of duplicates. Names are put together from syllables and stand for nobody; addresses end in `.example`,
which RFC 2606 reserves. Two kinds:

    code      "The access code of NAME is 4821."            its secret is one of 10^digits: for exposure (Carlini 2019)
    person    "NAME can be reached at kurivo@helmat.example"    for extraction of personal data by association
"""

import json
import random
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from creuset.core import jsonl
from creuset.core.artifact import new_artifact, read_manifest
from creuset.core.errors import ArtifactError

NAME = "canaries"  # of the source in a corpus that was built with them
SOURCE, SECRETS, LEDGER = "source/canaries.jsonl", "secrets.json", "ledger.toml"
Kind = Literal["code", "person"]
LANGUAGES = ("en", "fr")

_BEFORE = {
    ("code", "en"): "The access code of {name} is ",
    ("code", "fr"): "Le code d'accès de {name} est ",
    ("person", "en"): "{name} can be reached at ",
    ("person", "fr"): "On peut joindre {name} à l'adresse ",
}
# Another way to ask for the same: association is more than going on with the sentence that was read.
_ASKED = {
    "en": "Question: What is the e-mail address of {name}?\nAnswer: ",
    "fr": "Question : Quelle est l'adresse électronique de {name} ?\nRéponse : ",
}
_SYLLABLES = (
    "ba", "bel", "cor", "dan", "dro", "el", "fa", "fen", "gal", "hor", "in", "jol", "ka", "lar", "mel", "mo", "nar",
    "or", "pel", "qui", "ran", "sil", "tor", "ul", "ven", "wex", "yor", "zan",
)  # fmt: skip
_PARTS = {
    "en": (
        ["The morning", "A short walk", "The old bridge", "Every second train", "The market", "A grey stone",
         "The last lesson", "Nobody's garden", "The evening post", "A slow river"],
        ["leads past", "began before", "was painted like", "is older than", "stood beside", "never resembles",
         "was sold with", "ended after", "reminds people of", "lies south of"],
        ["the mill", "the harbour", "a wooden table", "the third hill", "the winter fair", "an empty barn",
         "the first bell", "a row of lamps", "the white ferry", "the school yard"],
    ),
    "fr": (
        ["Le matin", "Une courte marche", "Le vieux pont", "Un train sur deux", "Le marché", "Une pierre grise",
         "La dernière leçon", "Le jardin voisin", "Le courrier du soir", "Une rivière lente"],
        ["passe devant", "commença avant", "fut peint comme", "précède toujours", "se trouvait près de",
         "ne ressemble pas à", "fut vendu avec", "finit après", "fait penser à", "dépasse souvent"],
        ["la minoterie", "la rade", "une table en bois", "la troisième colline", "la foire d'hiver",
         "une grange vide", "la première cloche", "une rangée de lampes", "la barque blanche", "la cour"],
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryPlan:
    """What is planted. Each level of repetition gets `per_level` canaries of each kind."""

    repetitions: tuple[int, ...] = (0, 1, 2, 4, 8, 16, 32)
    per_level: int = 6
    digits: int = 4  # of a code: 10^digits candidates
    sentences: int = 5  # behind the canary, in its document
    seed: int = 17

    def __post_init__(self) -> None:
        if not self.repetitions or min(self.repetitions) < 0 or len(set(self.repetitions)) < len(self.repetitions):
            raise ValueError(f"repetitions must be different numbers from 0, got {self.repetitions}")
        if self.per_level < 1 or self.sentences < 1:
            raise ValueError("per_level and sentences must be positive")
        if not 2 <= self.digits <= 9:
            raise ValueError(f"digits must be between 2 and 9, got {self.digits}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    kind: Kind
    language: str
    name: str  # whose secret it is
    before: str  # the document's beginning, up to the secret
    secret: str
    asked: str  # another prompt for the same secret; empty for a code
    repetitions: int  # planned; how often it was trained on is counted in the shards


def invent(plan: CanaryPlan) -> list[Canary]:
    """The canaries of `plan`; the same plan gives the same ones."""
    dice, taken, found = random.Random(f"canaries {plan.seed}"), set[str](), list[Canary]()
    kinds: tuple[Kind, ...] = ("code", "person")
    for repetitions in plan.repetitions:
        for kind in kinds:
            for number in range(plan.per_level):
                language = LANGUAGES[number % 2]
                name = _fresh(dice, taken)
                secret = f"{dice.randrange(10**plan.digits):0{plan.digits}d}"
                if kind == "person":
                    secret = f"{_word(dice, 3)}@{_word(dice, 2)}.example"
                found.append(Canary(
                    kind=kind, language=language, name=name, before=_BEFORE[kind, language].format(name=name),
                    secret=secret, asked=_ASKED[language].format(name=name) if kind == "person" else "",
                    repetitions=repetitions,
                ))  # fmt: skip
    return found


def documents(canaries: list[Canary], plan: CanaryPlan) -> list[str]:
    """Each canary as often as planned, in documents that differ behind it, shuffled."""
    dice = random.Random(f"documents {plan.seed}")
    found = []
    for canary in canaries:
        for _ in range(canary.repetitions):
            tail = " ".join(_sentence(dice, canary.language) for _ in range(plan.sentences))
            found.append(f"{canary.before}{canary.secret}. {tail}")
    dice.shuffle(found)
    return found


def plant(plan: CanaryPlan, out: Path) -> dict[str, Any]:
    """Write the artifact; the facts of its manifest hold no secret."""
    canaries = invent(plan)
    texts = documents(canaries, plan)
    facts = {"canaries": len(canaries), "documents": len(texts), "characters": sum(map(len, texts))}
    with new_artifact(out, kind="canaries", settings=plan, facts=facts) as folder:
        jsonl.write(folder / SOURCE, ({"text": text, "plan": NAME} for text in texts))
        (folder / SECRETS).write_text(
            json.dumps([asdict(c) for c in canaries], indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
        (folder / LEDGER).write_text(
            f'[[source]]\nname = "{NAME}"\nlicence = "CC0-1.0"\norigin = "invented by creuset corpus canaries"\n'
            # One group is a whole source, which is never held out: what was planned is what is trained on.
            'kind = "any"\nnear_dedup = false\ngroup = "plan"\n'
            'notes = "planted to measure memorisation; nobody real is in it"\n',
            encoding="utf-8",
        )
    return facts


def read_canaries(path: Path) -> list[Canary]:
    """The secrets of an artifact. Raises ArtifactError."""
    if (kind := read_manifest(path)["kind"]) != "canaries":
        raise ArtifactError(f"`{path}` is a {kind} artifact, not canaries")
    try:
        return [Canary(**row) for row in json.loads((path / SECRETS).read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError) as error:
        raise ArtifactError(f"`{path / SECRETS}` is missing or damaged: {error}") from error


def _fresh(dice: random.Random, taken: set[str]) -> str:
    """A first and a last name that no other canary has any part of."""
    while True:
        names = [_word(dice, 3).capitalize(), _word(dice, 3).capitalize()]
        if not taken & set(names) and names[0] != names[1]:
            taken.update(names)
            return " ".join(names)


def _word(dice: random.Random, syllables: int) -> str:
    return "".join(dice.choice(_SYLLABLES) for _ in range(syllables))


def _sentence(dice: random.Random, language: str) -> str:
    return " ".join(dice.choice(part) for part in _PARTS[language]) + "."

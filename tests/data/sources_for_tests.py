"""Small dirty corpora, made from a seed."""

import json
import random

SYLLABLES = ["ba", "co", "der", "fin", "gar", "hil", "ker", "lam", "mon", "nor", "pel", "ran", "sol", "tur", "ven"]
SMALL = ["the", "of", "and", "to", "in", "was", "for", "that", "with", "as", "on", "by", "are", "from"]


def english(seed, sentences=12):
    """A page that every rule for prose keeps and that is like no other; its small words are English."""
    luck = random.Random(seed)
    out = []
    for i in range(sentences):
        words = []
        for _ in range(6):
            words += [luck.choice(SMALL), "".join(luck.choices(SYLLABLES, k=luck.randint(1, 3)))]
        out.append(" ".join(words).capitalize() + ".")
        out.append("\n" if i % 4 == 3 else " ")
    return "".join(out).strip()


FRENCH = (
    "La rivière traverse la ville et les enfants jouent sur le pont. "
    "Il fait beau dans le jardin, mais le vent est froid.\n"
    "Une lettre est arrivée pour vous ce matin, avec des nouvelles de la famille qui se trouve au bord de la mer.\n"
    "On ne sait pas encore si elle viendra en hiver, ou si nous irons chez elle par le train du soir."
)


def write_jsonl(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def write_ledger(folder, *names, **fields):
    rows = [{"name": name, "licence": "CC0-1.0", "origin": "made", "languages": ["en"], **fields} for name in names]
    path = folder / "sources.json"
    path.write_text(json.dumps({"source": rows}))
    return path

"""Inputs of `same_results.py`: small dirty documents, dialogues and benchmark files, all written here."""

import gzip
import json
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

ANIMALS = ["dog", "cat", "horse", "bird", "fish", "goat", "mouse", "bear"]
PLACES = ["garden", "river", "forest", "village", "market", "school", "hill", "kitchen"]


def stories(count: int) -> Iterator[str]:
    """Plain English texts, each different, long enough for the quality filters."""
    dice = random.Random(7)
    for n in range(count):
        animal, other = dice.sample(ANIMALS, 2)
        first, second = dice.sample(PLACES, 2)
        yield (
            f"The {animal} of story {n} lived in the {first}, and it was happy there with the old {other}. Every "
            f"morning the two of them went to the {second} to look for something good to eat. One day the {other} "
            f"was ill, so the {animal} had to go alone, and on the way it met {dice.randint(2, 90)} children who were "
            f"lost. It showed them the road to the {first} and they thanked the {animal} with bread. When the "
            f"{other} heard of this it was proud, and that night they all ate together and talked until the moon was "
            f"high. Nobody in the {second} ever forgot the day that number {n} on the list of good deeds was done."
        )


FRENCH = (
    "Le vieux pont de la ville était fermé depuis l'hiver, et les enfants passaient par le marché pour aller à "
    "l'école. Un matin, la maîtresse leur a demandé de raconter ce qu'ils voyaient en chemin. Ils ont parlé du pain "
    "chaud, des poissons sur la glace et d'un chien qui dormait toujours au soleil, devant la porte de la boulangerie."
)
PAGE = """<html><head><title>The mill</title><script>var x = 1;</script></head><body><nav>Home | About</nav>
<h1>The mill</h1><p>The mill by the river was built by three brothers who had left the village to look for work. They
carried every stone from the hill, and it took them more than two years before the great wheel turned.</p><p>People
came from far away with their grain, and the brothers never asked for more than one bag out of twenty. When the last
of them was old, he gave the mill to the school, and the children still bake bread there in the summer.</p></body>
</html>"""


LEAKED = (
    "A widow kept seven lanterns on the roof so that fishermen could find the harbour at night. When a storm broke "
    "five of them, the young baker climbed with candles from his shop and held them against the wind all night. Nine "
    "boats came home, and since then every new captain brings a loaf of bread and a candle to that house in autumn."
)


def write_documents(folder: Path) -> Path:
    """A folder of four sources with every kind of dirt that the pipeline drops, masks or repairs."""
    folder.mkdir()
    tales = list(stories(60))
    rows: list[Any] = [{"text": text} for text in tales]
    rows[3]["text"] += (
        " Write to ada.moreau@posteo.net or call +33 6 12 34 56 78 about it, or go to 81.2.69.160 for more."
    )
    rows += [
        {"text": tales[5]},  # exact duplicate
        {"text": tales[6].replace("happy", "glad")},  # near duplicate
        {"text": "Too short."},
        {"text": "The same words come again and again, my friend. " * 60},
        {"text": "What a ### day it was ... for $$$ and the *** of that. " * 40},
        {"text": tales[7].replace(" ", "\u00a0").replace("'", "\u2019") + "\ufeff\u200b"},
        {"text": ""},
        {"text": 5},
        {"nothing": "here"},
        {"text": LEAKED},
    ]
    _jsonl(folder / "tales.jsonl", rows)
    with (folder / "tales.jsonl").open("a", encoding="utf-8") as stream:
        stream.write("{broken\n")
    with gzip.GzipFile(folder / "french.jsonl.gz", "wb", mtime=0) as packed:
        for n in range(8):
            text = FRENCH.replace("Un matin", f"Le matin du {n + 1} mars") + f" C'était la page {n} de leur cahier."
            packed.write(json.dumps({"text": text, "url": f"https://example.org/{n}"}).encode() + b"\n")
    (folder / "pages").mkdir()
    for n in range(3):
        (folder / "pages" / f"mill{n}.html").write_text(PAGE.replace("three", f"{n + 3}"), encoding="utf-8")
    (folder / "pages" / "latin.txt").write_bytes((FRENCH + " Numéro un.").encode("latin-1"))
    return folder


def write_dialogues(file: Path) -> Path:
    """Conversations about animals, some of two turns, some with a system message, and two bad lines."""
    rows: list[Any] = []
    for n, animal in enumerate(ANIMALS * 4):
        place = PLACES[(n + n // 8) % 8]
        messages = [
            {"role": "user", "content": f"Where does the {animal} number {n} live?"},
            {"role": "assistant", "content": f"The {animal} lives in the {place}."},
        ]
        if n % 3 == 0:
            messages.insert(0, {"role": "system", "content": "Answer in one sentence."})
        if n % 4 == 0:
            messages += [
                {"role": "user", "content": "Are you sure?"},
                {"role": "assistant", "content": f"Yes, in the {place}."},
            ]
        rows.append({"messages": messages})
    rows += [{"messages": [{"role": "user", "content": "nobody answers"}]}, {"messages": "none"}]
    return _jsonl(file, rows)


def write_benchmarks(folder: Path) -> Path:
    """Files of three tasks in their published forms, made up."""
    _jsonl(
        folder / "arc/arc_easy.jsonl",
        [
            {"query": f"Question: What is {what} made of?", "choices": ["water", "stone", "air"], "gold": n % 3}
            for n, what in enumerate(["ice", "a wall", "wind", "rain", "a hill", "a storm"])
        ],
    )
    _jsonl(
        folder / "boolq/boolq.jsonl",
        [
            {"query": f"Passage: {what} is cold.\nQuestion: is {what} hot?", "choices": ["no", "yes"], "gold": n % 2}
            for n, what in enumerate(["ice", "snow", "the sea", "the night"])
        ],
    )
    for split, who in (("test", "Tom"), ("train", "Ann")):
        _jsonl(
            folder / f"gsm8k/{split}.jsonl",
            [
                {
                    "question": f"{who} has {n} apples and buys 2 more. How many apples has {who}?",
                    "answer": f"{who} has {n} + 2 = <<{n}+2={n + 2}>>{n + 2} apples.\n#### {n + 2}",
                }
                for n in range(8)
            ],
        )
    _jsonl(folder / "leak/passages.jsonl", [{"text": LEAKED}])
    return folder


def _jsonl(file: Path, rows: Iterable[Any]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return file

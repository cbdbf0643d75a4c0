"""Tiny sources in the shape of the real ones, written for these tests."""

import json
import lzma
from pathlib import Path
from typing import Any

from mini_instructions.shelf import Shelf

WIKI = [
    "Otter\n\nOtters are animals that live near rivers and eat fish. They have thick brown fur. They "
    "can swim very well.",
    "Lamp\n\nA lamp is a thing that gives light (). People use it in the evening. Many lamps use electricity.",
    "Violin\n\nA violin is a musical instrument with four strings. It is played with a bow.\nIt is made of wood.",
    "Elsa Bird\n\nElsa Bird (born 3 May 1950) is a English painter from Bristol. She paints birds. "
    "She is currently in Rome.",
    "Oldtown\n\nOldtown is a city in the north of the country. It has a population of and an area of "
    ". It is on a river.",
    "Mercury (planet)\n\nMercury is a planet.",
    "Bank\n\nBank may mean a place for money or the side of a river.",
    "Sand\n\nSand is a material made of very small pieces of rock. Beaches are often made of sand.",
    "Bread\n\nBread is a food made of flour and water. It is baked in an oven. People eat bread with butter.",
    "Boris Oak\n\nBoris Oak was a Polish writer. He wrote three books about the sea.",
]
PROFILES = {
    "France": (
        "europe/fr.json",
        {
            "Geography": "Location: Western Europe\nMap references: Europe\nArea:\ntotal: 643,801 sq km ; 551,500 "
            "sq km (metropolitan France)\nLand boundaries:\n"
            "total: 3,956 km\nborder countries: Belgium 556 km; Germany 418 km; Spain 646 "
            "km\nCoastline:\n4,853 km\nClimate: temperate; cool winters\n"
            "Elevation:\nhighest point: Mont Blanc 4,810\nlowest point: Rhone River delta -2 m",
            "People and Society": "Population:\ntotal: 68,512,806 (2025 est.)\nNationality:\nnoun: "
            "Frenchman(men)\nadjective: French\nLanguages:\n"
            "Languages: French (official) 100%, declining regional dialects",
            "Government": "Government type: semi-presidential republic\nCapital:\nname: Paris\ngeographic "
            "coordinates: 48 52 N, 2 20 E",
            "Economy": "Agricultural products:\nwheat, sugar beets, milk, maize (2023)\nExchange rates:\neuros "
            "per US dollar -\nCurrency: euros (EUR) per US dollar -",
            "Communications": "Internet country code: .fr",
        },
    ),
    "Mali": (
        "africa/ml.json",
        {
            "Geography": "Location: interior Western Africa\nArea:\ntotal: 1,240,192 sq km\nLand "
            "boundaries:\ntotal: 7,908 km\n"
            "border countries: Algeria 1,359 km; Cote d'Ivoire 599 km; Niger 838 km\nCoastline: 0 km "
            "(landlocked)\nClimate: subtropical to arid; hot and dry",
            "People and Society": "Population:\ntotal: 22,600,000 (2025 est.)",
            "Government": "Capital:\nname: Bamako\nIndependence: 22 September 1960 (from France)",
            "Economy": "Agricultural products: maize, rice, millet, sorghum",
        },
    ),
    "Japan": (
        "east-n-southeast-asia/ja.json",
        {
            "Geography": "Area:\ntotal: 377,915 sq km\nLand boundaries:\ntotal: 0 km\nCoastline: 29,751 km",
            "People and Society": "Population:\ntotal: 123,000,000 (2025 est.)",
            "Government": "Capital:\nname: Tokyo",
            "Economy": "Currency: yen (JPY) per US dollar -",
        },
    ),
}
LEVELS = {
    "adv": "The storm devastated the small coastal town and left thousands of people without electricity. "
    "Rescue teams arrived the following morning.",
    "int": "The storm destroyed much of the small coastal town and left thousands of people without "
    "electricity. Rescue teams came the next morning.",
    "ele": "The storm destroyed the small town and left thousands of people without electricity. Helpers "
    "came the next morning.",
}
TINY = (
    "Once upon a time, there was a girl named Mia. Mia had a dog. The dog liked to run in the park. "
    "One day the dog ran very far. Mia called and called. "
    "At last the dog came back with a ball. Mia was happy. She gave the dog a big hug, and they went home together."
)
AFRICAN = (
    "The clever hare\n\nOnce there was a hare who lived near a river. Every day the hare came to "
    'drink.\n\nOne day a big lion said, "This is my river." '
    'The hare looked into the water and said, "There is another lion in it." The lion saw his own '
    "face and ran away.\n\nSo the hare kept the river, and all the animals could drink again."
)


def save(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with lzma.open(path, "wt", encoding="utf-8") as out:
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=False) + "\n")


def shelf(root: Path) -> Shelf:
    """A shelf with a few documents of every kind."""
    texts, instruct, reasoning = root / "pretrain", root / "instruct", root / "reasoning"
    save(
        texts / "en_simplewiki.jsonl.xz",
        [
            {"text": t, "url": f"https://wiki.example/{i}", "source": "wiki", "license": "CC-BY-SA-3.0"}
            for i, t in enumerate(WIKI)
        ],
    )
    rows = []
    for name, (path, sections) in PROFILES.items():
        rows += [
            {"text": f"{name} - {section}\n\n{body}", "source": f"factbook/factbook.json:{path}", "license": "CC0-1.0"}
            for section, body in sections.items()
        ]
    save(texts / "en_world_factbook.jsonl.xz", rows)
    save(
        texts / "en_onestop_news_3levels.jsonl.xz",
        [
            {"text": t, "level": k.capitalize(), "source": f"onestop:Storm-{k}.txt", "license": "CC-BY-SA-4.0"}
            for k, t in LEVELS.items()
        ],
    )
    save(texts / "en_tinystories_sample.jsonl.xz", [{"text": TINY, "source": "tiny", "license": "CDLA-Sharing-1.0"}])
    save(
        texts / "en_african_storybook.jsonl.xz",
        [{"text": AFRICAN, "author": "A. Writer", "source": "asp:en/1.md", "license": "CC-BY"}],
    )
    talk = [
        {
            "messages": [
                {"role": "user", "content": "Name a yellow fruit."},
                {"role": "assistant", "content": "A banana is a yellow fruit."},
            ],
            "source": "x.json",
            "license": "Apache-2.0",
        },
        {
            "messages": [{"role": "user", "content": "Write code."}, {"role": "assistant", "content": "```x```"}],
            "source": "x.json",
            "license": "Apache-2.0",
        },
    ]
    save(instruct / "en_rasbt_simple_instructions.jsonl.xz", talk)
    save(
        instruct / "en_gpteacher_roleplay.jsonl.xz",
        [
            {
                "messages": [{"role": "user", "content": "FORBIDDEN"}, {"role": "assistant", "content": "FORBIDDEN"}],
                "source": "gpt",
            }
        ],
    )
    save(
        reasoning / "en_mawps.jsonl.xz",
        [
            {
                "prompt": "Tom has 3 apples and buys 4 . How many apples does he have ?",
                "equation_prefix": "+ 3.0 4.0",
                "answer": "7",
                "source": "m",
                "license": "MIT",
            },
            {
                "prompt": "Wrong answer here?",
                "equation_prefix": "+ 1 1",
                "answer": "3",
                "source": "m",
                "license": "MIT",
            },
        ],
    )
    save(
        reasoning / "en_gsm8k_train.jsonl.xz",
        [
            {
                "prompt": "A pen costs 2 dollars. How much do 3 pens cost?",
                "solution": "3 pens cost 3 * 2 = 6 dollars.",
                "answer": "6",
                "source": "g",
                "license": "MIT",
            }
        ],
    )
    return Shelf(texts, instruct, reasoning)

"""Tiny real things for tests: no mocks of our own code. Imported by tests only."""

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from creuset.text.tokenizer import Tokenizer

TINY_TEXTS = (
    "The cat sat on the mat. The dog ran to the river, and the cat ran after the dog.",
    "A river is a large stream of water. Water flows from the mountain to the sea.",
    "What is a river? It is water that flows. What is the capital of France? It is Paris.",
    "Le chat est sur la table. La rivière coule vers la mer. Où est l'école ? Elle est là-bas.",
    "There are 12 months in a year, 7 days in a week and 24 hours in a day.",
)


@cache
def tiny_tokenizer(vocab_size: int = 512) -> "Tokenizer":
    """A real byte-level BPE with all control tokens, learned from a few sentences in milliseconds."""
    from creuset.text.tokenizer import train

    return train(TINY_TEXTS * 4, vocab_size=vocab_size)

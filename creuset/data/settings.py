"""Settings of the corpus pipeline: every threshold that decides what is kept, with its source.

`Rules` are per kind of text, because a children's story, a manual page and a table of
figures are good text in different ways; `KINDS` is where they differ.
"""

import fnmatch
from dataclasses import dataclass, field, replace
from typing import Literal

from creuset.core.personal import MASKED


@dataclass(frozen=True, kw_only=True, slots=True)
class QualityRules:
    """Thresholds of the quality filters; 0 (or 1.0 for an upper share) turns a rule off."""

    min_words: int = 50  # Gopher; words or CJK characters
    max_words: int = 100_000  # Gopher; 0: a novel is longer
    min_mean_word: float = 3.0  # Gopher; characters, not asked of CJK text
    max_mean_word: float = 10.0  # Gopher
    max_hash_share: float = 0.1  # Gopher; `#` a word
    max_ellipsis_share: float = 0.1  # Gopher; `...` a word
    max_bullet_lines: float = 0.9  # Gopher
    max_ellipsis_lines: float = 0.3  # Gopher
    min_alpha_words: float = 0.8  # Gopher; share of words with a letter
    min_stop_words: int = 2  # Gopher; different function words of the document's language
    dup_lines: float = 0.30  # Gopher, table A1: share of repeated lines
    dup_line_chars: float = 0.20  # Gopher, A1: share of characters in them
    dup_paragraphs: float = 0.30  # Gopher, A1
    dup_paragraph_chars: float = 0.20  # Gopher, A1
    top_ngrams: bool = True  # Gopher, A1: most frequent 2-, 3-, 4-gram over 0.20, 0.18, 0.16
    dup_ngrams: bool = True  # Gopher, A1: repeated 5- to 10-grams over 0.15 ... 0.10
    ngram_slack: float = 1.0  # the two above times this: a definition repeats its term more than a web page
    ngram_min_words: int = 10  # shorter texts are not asked: the title of a stub is a fifth of it
    min_sentences: int = 3  # C4 asks for 5; encyclopedia stubs have 3
    no_curly: bool = True  # C4: a `{` means code
    no_lorem: bool = True  # C4: filler text
    drop_lines: bool = True  # C4: policy and javascript lines go, and lines of one or two words without an end
    min_end_lines: float = 0.12  # FineWeb: share of lines that end in punctuation
    max_short_lines: float = 0.67  # FineWeb: share of lines under 30 characters
    max_dup_line_chars: float = 0.1  # FineWeb asks for 0.01; wiki tables repeat more
    site_lines: bool = False  # take out lines that stand on many pages of the site
    service_pages: bool = True  # pages about the wiki itself stay
    repair: Literal["none", "wiki", "book"] = "none"


_RELAXED = QualityRules(
    max_words=0,
    min_mean_word=2.0,
    max_mean_word=14.0,
    min_alpha_words=0.5,
    max_hash_share=1.0,
    min_stop_words=1,
    dup_lines=1.0,
    dup_line_chars=0.5,
    dup_paragraphs=1.0,
    dup_paragraph_chars=0.5,
    top_ngrams=False,
    dup_ngrams=False,
    min_sentences=0,
    no_curly=False,
    no_lorem=False,
    drop_lines=False,
    min_end_lines=0.0,
    max_short_lines=1.0,
    max_dup_line_chars=1.0,
)

GUESS = "guess"
KINDS: dict[str, QualityRules] = {
    "web": QualityRules(site_lines=True),
    "wiki": QualityRules(
        min_words=15,
        no_curly=False,
        no_lorem=False,
        drop_lines=False,
        max_short_lines=0.8,
        min_sentences=1,
        min_alpha_words=0.7,
        max_dup_line_chars=1.0,
        ngram_slack=2.0,
        ngram_min_words=100,
        service_pages=False,
        repair="wiki",
    ),
    "news": QualityRules(site_lines=True, min_sentences=3, drop_lines=False, max_dup_line_chars=1.0),
    "book": QualityRules(
        max_words=0,
        min_words=40,
        max_short_lines=1.0,
        min_end_lines=0.0,
        drop_lines=False,
        no_curly=False,
        max_dup_line_chars=1.0,
        max_ellipsis_lines=0.7,
        max_bullet_lines=1.0,
        dup_lines=1.0,  # speakers of a play, refrains
        dup_paragraphs=1.0,
        ngram_slack=1.5,
        repair="book",
    ),
    "story": replace(
        _RELAXED,
        min_words=20,
        min_alpha_words=0.8,
        max_ellipsis_share=1.0,
        max_ellipsis_lines=1.0,
        max_bullet_lines=1.0,
    ),
    "speech": QualityRules(min_words=100, drop_lines=False, max_dup_line_chars=1.0),
    "docs": replace(_RELAXED, min_words=30),
    "facts": replace(_RELAXED, min_words=15, min_stop_words=0, min_alpha_words=0.3),
    "any": replace(
        _RELAXED, min_words=1, min_stop_words=0, min_alpha_words=0.0, dup_line_chars=1.0, dup_paragraph_chars=1.0
    ),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Licence:
    unknown: Literal["refuse", "drop", "keep"] = "refuse"  # a source no ledger row names
    deny: tuple[str, ...] = ()  # words in a licence that forbid it, e.g. NC,ND


@dataclass(frozen=True, kw_only=True, slots=True)
class Language:
    allow: tuple[str, ...] = ()  # ISO 639-1 codes; empty: the ledger row's languages, else any
    min_probability: float = 0.8  # under this the row's first language is believed
    sample: int = 1000  # characters that are looked at


@dataclass(frozen=True, kw_only=True, slots=True)
class Dedup:
    exact: bool = True
    near: bool = True
    shingle: int = 5  # words a shingle
    bands: int = 16
    rows: int = 7  # bands x rows hashes a document
    similarity: float = 0.8  # Jaccard, as the hashes estimate it
    memory_mb: int = 1024  # at most about this is held while duplicates are looked for

    def __post_init__(self) -> None:
        if self.memory_mb < 16:
            raise ValueError(f"memory_mb must be at least 16, got {self.memory_mb}")


@dataclass(frozen=True, kw_only=True, slots=True)
class SiteLines:
    """When a line is common to the pages of a site; kinds of text say whether such lines go (`site_lines`)."""

    pages: int = 4  # of the site that have the line, at least; 0 turns it off
    share: float = 0.3  # of the pages of the site


@dataclass(frozen=True, kw_only=True, slots=True)
class Metadata:
    """Fields of a record besides its text that a kept document keeps, in `meta`."""

    fields: tuple[str, ...] = ("*",)  # shell patterns of their names; empty keeps none
    max_bytes: int = 2000  # of one field as JSON; a longer one is left out


@dataclass(frozen=True, kw_only=True, slots=True)
class Privacy:
    mask: tuple[str, ...] = MASKED  # kinds of core/personal


@dataclass(frozen=True, kw_only=True, slots=True)
class Leakage:
    ngram: int = 13  # words that must be shared in a row
    share: float = 0.6  # of the shorter of the two


@dataclass(frozen=True, kw_only=True, slots=True)
class Heldout:
    share: float = 0.01  # of a source's characters
    max_mb: float = 1.0  # per source
    min_kb: float = 20.0  # small sources hold out this much, but never over 5 %


@dataclass(frozen=True, kw_only=True, slots=True)
class Corpus:
    kind: str = GUESS  # for sources whose ledger row names none; "guess": from each text, clean/kind.py
    text_field: str = "text"  # of jsonl, json and parquet records
    split_mb: int = 24  # raw bytes a task
    limit_mb: float = 0.0  # raw bytes read of each source; 0 is all
    limits_mb: dict[str, float] = field(default_factory=dict)  # the same for sources by name
    samples: int = 5  # dropped documents shown in the report, per source and reason
    seed: int = 17
    licence: Licence = field(default_factory=Licence)
    language: Language = field(default_factory=Language)
    dedup: Dedup = field(default_factory=Dedup)
    privacy: Privacy = field(default_factory=Privacy)
    leakage: Leakage = field(default_factory=Leakage)
    sites: SiteLines = field(default_factory=SiteLines)
    metadata: Metadata = field(default_factory=Metadata)
    heldout: Heldout = field(default_factory=Heldout)
    rules: QualityRules | None = None  # replaces the rules of every kind

    def __post_init__(self) -> None:
        if self.kind not in (*KINDS, GUESS):
            raise ValueError(f"kind must be one of {', '.join((*KINDS, GUESS))}, got {self.kind!r}")
        if self.split_mb < 1:
            raise ValueError(f"split_mb must be at least 1, got {self.split_mb}")

    def limit_of(self, source: str) -> float:
        """Raw bytes to read of a source."""
        return self.limits_mb.get(source, self.limit_mb) * 1e6 or float("inf")

    def rules_of(self, kind: str) -> QualityRules:
        """Rules for texts of a kind of `KINDS`."""
        return self.rules or KINDS[kind]


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    """Does a file path or source name fit one of the shell patterns, in full or by its last parts?"""
    return any(fnmatch.fnmatch(name, p) or fnmatch.fnmatch(name, "*/" + p) for p in patterns)

"""Lines that stand on many pages of one site: its slogans, notices and menus, whatever an extractor thought of them.

A line of a page is known by the hash of its site and its words. It is common where it stands on at least
`SiteLines.pages` pages of the site and on `SiteLines.share` of them. Of a page are taken out: common lines of five
words or more, wherever they stand, and all common lines with which it begins or ends. So a heading such as "References"
stays, and a menu at the top goes. A line counts once a page.
"""

import re
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
import xxhash

from creuset.data.settings import SiteLines

COUNT = np.dtype([("key", "<u8"), ("site", "<u8"), ("pages", "<u4")])  # the key 0 stands for the site itself
Counts = npt.NDArray[np.void]
_WORD = re.compile(r"\w+")
_LONG = 5  # words


def site_of(url: str, folder: str = "") -> str:
    """The site of a page: the host of its address, else the folder it lies in; "" where neither is known."""
    try:
        host = urlsplit(url).hostname if "://" in url[:12] else None
    except ValueError:
        host = None
    return (host or folder).removeprefix("www.")


def site_hash(site: str) -> int:
    return xxhash.xxh3_64_intdigest(site.encode("utf-8", "replace"))


def line_keys(text: str, site: int) -> list[int]:
    """A hash for each line of `text`, 0 for those without a word."""
    out = []
    for line in text.split("\n"):
        words = " ".join(_WORD.findall(line.casefold()))
        out.append(xxhash.xxh3_64_intdigest(words.encode("utf-8", "replace"), seed=site) or 1 if words else 0)
    return out


class Survey:
    """Counts of the pages that were looked at."""

    def __init__(self) -> None:
        self._parts: list[Counts] = []
        self._now: list[tuple[int, int]] = []

    def add(self, text: str, site: str) -> None:
        name = site_hash(site)
        self._now.append((0, name))
        self._now += [(key, name) for key in set(line_keys(text, name)) - {0}]
        if len(self._now) > 200_000:
            self._fold()

    def _fold(self) -> None:
        part = np.zeros(len(self._now), dtype=COUNT)
        if self._now:
            both = np.array(self._now, dtype=np.uint64)
            part["key"], part["site"], part["pages"] = both[:, 0], both[:, 1], 1
        self._parts = [added([*self._parts, part])]
        self._now = []

    def counts(self) -> Counts:
        """Sorted by key, then site."""
        self._fold()
        return self._parts[0]


def added(parts: Sequence[Counts]) -> Counts:
    """The sum of counts, sorted."""
    every = np.concatenate(parts)
    order = np.lexsort((every["site"], every["key"]))
    every = every[order]
    new = np.ones(len(every), dtype=bool)
    new[1:] = (every["key"][1:] != every["key"][:-1]) | (every["site"][1:] != every["site"][:-1])
    at = np.flatnonzero(new)
    out = every[at]
    if len(at):
        out["pages"] = np.add.reduceat(every["pages"].astype(np.uint64), at).astype(np.uint32)
    return out


def common_lines(parts: Sequence[Counts], settings: SiteLines, *, most: int = 2_000_000) -> Counts:
    """Counts of the common lines of all sites, by key. At most about `most` counts are in memory at a time."""
    sites = added([part[: np.searchsorted(part["key"], 1)] for part in parts]) if parts else np.zeros(0, dtype=COUNT)
    total = sum(map(len, parts))
    pieces = max(1, -(-total // most))
    bounds = [int(i * 2**64 / pieces) for i in range(1, pieces)]
    found = []
    begins = [int(np.searchsorted(part["key"], 1)) for part in parts]
    for bound in [*bounds, None]:
        ends = [len(p) if bound is None else int(np.searchsorted(p["key"], np.uint64(bound))) for p in parts]
        ends = list(map(max, begins, ends))
        piece = added([p[a:b] for p, a, b in zip(parts, begins, ends, strict=True)]) if parts else sites
        begins = ends
        piece = piece[piece["pages"] >= settings.pages]
        of = sites["pages"][np.searchsorted(sites["site"], piece["site"])] if len(piece) else piece["pages"]
        found.append(piece[piece["pages"] >= settings.share * of])
    return np.concatenate(found)


def without(text: str, site: str, common: npt.NDArray[np.uint64]) -> tuple[str, int]:
    """(text without the common lines, how many they were); `common`: their keys, sorted."""
    keys = np.array(line_keys(text, site_hash(site)), dtype=np.uint64)
    at = np.searchsorted(common, keys)
    known = (
        (common[np.minimum(at, len(common) - 1)] == keys) & (keys != 0) if len(common) else np.zeros(len(keys), bool)
    )
    if not known.any():
        return text, 0
    lines = text.split("\n")
    gone = {i for i in np.flatnonzero(known).tolist() if len(_WORD.findall(lines[i])) >= _LONG}
    for order in (range(len(lines)), range(len(lines) - 1, -1, -1)):
        gone.update(_run(order, known, keys))
    kept = [line for i, line in enumerate(lines) if i not in gone]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip("\n"), len(gone)


def _run(order: Iterable[int], known: npt.NDArray[np.bool_], keys: npt.NDArray[np.uint64]) -> Iterable[int]:
    """The common lines with which a page begins in this order; empty lines between them do not end the run."""
    for i in order:
        if known[i]:
            yield i
        elif keys[i]:
            return

"""The prefix cache: full blocks of tokens that were computed before need not be computed again.

A block is known by a hash of everything before it (its parent's hash) and its own tokens, so equal
hashes mean equal prefixes. The hash is cryptographic: were it not, a client could craft a prompt that
collides with another's and read its cache. A `salt` keeps tenants apart altogether: without one, the
time to the first token tells whether someone else sent the same prefix.

The cache is one more reader of its blocks (engine/blocks.py). A block that nobody else reads may be
evicted, least recently used first and never before the blocks that continue it.
"""

from array import array
from collections.abc import Iterable, Sequence
from hashlib import blake2b

from creuset.engine.blocks import BlockPool


def chain(tokens: Sequence[int], block_size: int, *, salt: str = "", parents: Sequence[bytes] = ()) -> list[bytes]:
    """Hashes of all full blocks of `tokens`; `parents` are those of the first blocks, already known."""
    hashes = list(parents)
    last = hashes[-1] if hashes else salt.encode()
    for start in range(len(hashes) * block_size, len(tokens) - block_size + 1, block_size):
        words = array("q", tokens[start : start + block_size]).tobytes()
        # The parent's length goes in as well, so that no salt can be read as a hash.
        last = blake2b(len(last).to_bytes(4, "little") + last + words, digest_size=16).digest()
        hashes.append(last)
    return hashes


class PrefixCache:
    def __init__(self, pool: BlockPool) -> None:
        self.pool = pool
        self._blocks: dict[bytes, int] = {}  # hash -> block, least recently used first

    def __len__(self) -> int:
        return len(self._blocks)

    @property
    def blocks(self) -> list[int]:
        return list(self._blocks.values())

    @property
    def evictable(self) -> int:
        return self.pool.idle

    def match(self, hashes: Sequence[bytes]) -> list[int]:
        """Blocks of the longest known beginning of `hashes`. The caller becomes a reader of them."""
        known = 0
        while known < len(hashes) and hashes[known] in self._blocks:
            known += 1
        # Deepest first, so that a block is always older than the one it continues.
        for digest in reversed(hashes[:known]):
            self._blocks[digest] = self._blocks.pop(digest)
        blocks = [self._blocks[digest] for digest in hashes[:known]]
        self.pool.share(blocks)
        return blocks

    def insert(self, hashes: Sequence[bytes], blocks: Sequence[int]) -> None:
        """Remember that `blocks` hold the prefixes `hashes`. A prefix already known keeps its own block."""
        for digest, block in reversed(list(zip(hashes, blocks, strict=True))):
            if digest not in self._blocks:
                self.pool.keep(block)
                self._blocks[digest] = block
            else:
                self._blocks[digest] = self._blocks.pop(digest)

    def evict(self, count: int) -> int:
        """Free up to `count` blocks that only the cache reads; returns how many."""
        gone: list[bytes] = []
        for digest, block in self._blocks.items():
            if len(gone) == count:
                break
            if self.pool.readers(block) == 1:
                gone.append(digest)
        self._drop(gone)
        return len(gone)

    def forget(self, blocks: Iterable[int]) -> None:
        """Drop what is known of `blocks`: their content is not to be trusted."""
        bad = set(blocks)
        self._drop([digest for digest, block in self._blocks.items() if block in bad])

    def clear(self) -> None:
        self._drop(list(self._blocks))

    def _drop(self, hashes: Sequence[bytes]) -> None:
        for digest in hashes:
            self.pool.let_go(self._blocks.pop(digest))

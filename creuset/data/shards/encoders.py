"""Batches of texts through processes that encode, back in order."""

import multiprocessing
import os
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from creuset.text.bulk import BulkEncoder
from creuset.text.tokenizer import Tokenizer

Row = tuple["np.ndarray[Any, np.dtype[np.uint32]]", int]  # ids of a document, and its UTF-8 bytes


class Encoders:
    """`workers` processes with the tokenizer of `folder`; with one, this process does the work itself."""

    def __init__(self, folder: Path, workers: int) -> None:
        self._folder, self._workers = str(folder), workers
        # Not fork: the tokenizers library and numpy have threads by then.
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(workers, context, initializer=_begin) if workers > 1 else None

    def __enter__(self) -> "Encoders":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._pool:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def run(self, batches: Iterable[tuple[list[str], int]]) -> Iterator[tuple[list[Row], int]]:
        """Each batch encoded, in order, with the number that came with it."""
        if self._pool is None:
            for texts, mark in batches:
                yield encode_rows(self._folder, texts), mark
            return
        waiting: deque[tuple[Future[list[Row]], int]] = deque()
        for texts, mark in batches:
            waiting.append((self._pool.submit(encode_rows, self._folder, texts), mark))
            if len(waiting) > 2 * self._workers:  # what is read ahead stays in memory
                first, done = waiting.popleft()
                yield first.result(), done
        for first, done in waiting:
            yield first.result(), done


def encode_rows(folder: str, texts: list[str]) -> list[Row]:
    found = _encoder(folder).encode_batch(texts)
    return [(np.array(ids, dtype=np.uint32), len(text.encode())) for ids, text in zip(found, texts, strict=True)]


@cache
def _encoder(folder: str) -> BulkEncoder:
    return BulkEncoder(Tokenizer.load(Path(folder)))


def _begin() -> None:
    """A worker whose parent was killed would wait for work for ever: it leaves instead."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()

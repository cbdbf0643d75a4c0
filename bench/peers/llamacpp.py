"""llama.cpp by its C interface, one batch a step for all streams. `llamacpp.py MODEL THREADS DTYPE STREAMS CONTEXT`.

Greedy, the likeliest token by NumPy on the logits where they lie, which is faster than llama.cpp's own sampler chain.
"""

import ctypes
import sys
from typing import Any

import llama_cpp as lc
import numpy as np
from protocol import answer, clock


class LlamaCpp:
    def __init__(self, model: str, threads: int, streams: int, context: int) -> None:
        lc.llama_backend_init()
        self.threads, self.context_tokens = threads, context
        self.model = lc.llama_model_load_from_file(model.encode(), lc.llama_model_default_params())
        assert self.model, f"llama.cpp cannot load {model}"
        self.vocab = lc.llama_vocab_n_tokens(lc.llama_model_get_vocab(self.model))
        self.contexts: dict[int, Any] = {}
        self.batch = lc.llama_batch_init(2048, 0, 1)

    def about(self) -> dict[str, Any]:
        return {"version": lc.__version__, "system": lc.llama_print_system_info().decode().strip()}

    def _context(self, streams: int) -> Any:
        """One for each number of streams, as llama.cpp's own benches make it, empty."""
        if streams not in self.contexts:
            params = lc.llama_context_default_params()
            params.n_ctx = streams * -(-self.context_tokens // 256) * 256
            params.n_seq_max = streams
            params.n_batch, params.n_ubatch = 2048, 512
            params.n_threads = params.n_threads_batch = self.threads
            params.kv_unified = False
            self.contexts[streams] = lc.llama_init_from_model(self.model, params)
            assert self.contexts[streams], "llama.cpp cannot make a context"
        found = self.contexts[streams]
        lc.llama_memory_clear(lc.llama_get_memory(found), True)
        return found

    def _decode(self, context: Any, rows: list[tuple[int, int, int, bool]]) -> None:
        """(token, position, stream, whether its logits are wanted) of one batch."""
        batch = self.batch
        batch.n_tokens = len(rows)
        for i, (token, position, stream, wanted) in enumerate(rows):
            batch.token[i], batch.pos[i] = token, position
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = stream
            batch.logits[i] = wanted
        failed = lc.llama_decode(context, batch)
        assert failed == 0, f"llama_decode returned {failed}"

    def _likeliest(self, context: Any, row: int) -> int:
        logits = lc.llama_get_logits_ith(context, row)
        return int(np.ctypeslib.as_array(ctypes.cast(logits, ctypes.POINTER(ctypes.c_float)), (self.vocab,)).argmax())

    def decode(self, prompts: list[list[int]], tokens: int) -> tuple[int, float]:
        context, streams = self._context(len(prompts)), range(len(prompts))
        last = []
        for stream, prompt in enumerate(prompts):
            self._decode(context, [(id, at, stream, at == len(prompt) - 1) for at, id in enumerate(prompt)])
            last.append(self._likeliest(context, len(prompt) - 1))
        begun = clock()
        for step in range(tokens - 1):
            rows = [(last[stream], len(prompts[stream]) + step, stream, True) for stream in streams]
            self._decode(context, rows)
            last = [self._likeliest(context, stream) for stream in streams]
        return (tokens - 1) * len(prompts), clock() - begun

    def prefill(self, prompt: list[int]) -> float:
        context = self._context(1)
        begun = clock()
        self._decode(context, [(id, at, 0, at == len(prompt) - 1) for at, id in enumerate(prompt)])
        self._likeliest(context, len(prompt) - 1)
        return clock() - begun


if __name__ == "__main__":
    path, threads, _, streams, context = sys.argv[1:]
    answer(lambda: LlamaCpp(path, int(threads), int(streams), int(context)))

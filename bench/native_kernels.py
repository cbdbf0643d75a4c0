"""Products of the native core on one thread: GB/s of packed weights and 10^9 multiplications (GMAC/s) a second.

    python bench/native_kernels.py --outs 4864 --ins 896 --weights-mb 256 --rows 1,2,4,8,32,512 --levels avx2,vnni,bf16

As many matrices as `--weights-mb` holds are multiplied in turn, so that one row reads weights from memory and not from
a cache; 0: one matrix, which stays in the cache. Times are processor time of this thread, the best of `--repeat`: other
processes on the machine disturb them little. Beside them stands how fast this thread just reads memory, by the same
clock: what one row of a kind is held against. Prints a table for people; the last line is one JSON document.
"""

import ctypes
import time
from collections.abc import Callable

import common
import numpy as np

from creuset.core.native.library import Library, library
from creuset.engine.backend.native.matrix import KINDS, PackedMatrix, Products


def matrix_of(products: Products, kind: str, outs: int, ins: int) -> PackedMatrix:
    rng = np.random.default_rng(17)
    made = products.empty(kind, outs, ins, scales="f16")
    if kind == "q4a":
        groups = (outs, -(-ins // 32))
        codes = rng.integers(0, 16, (outs, ins), dtype=np.int8)
        products.pack_codes(made, codes, np.full(groups, 0.01, np.float32), np.full(groups, -0.07, np.float32))
    else:
        products.pack_values(made, rng.standard_normal((outs, ins), np.float32))
    return made


def read_rate(native: Library) -> float:
    """GB/s that this thread reads of memory, by its processor time: the best of a few readings."""
    rate = native.functions.creuset_read_rate
    rate.restype, rate.argtypes = ctypes.c_double, [ctypes.c_void_p, ctypes.c_int64, ctypes.c_int]
    return float(rate(None, 256 << 20, 5)) / 1e9


def best_time(call: Callable[[], object], repeat: int, least_s: float) -> float:
    """Processor seconds of one call: the best of `repeat` measurements of at least `least_s`."""
    call()
    times = []
    for _ in range(repeat):
        calls, start = 0, time.process_time()
        while (spent := time.process_time() - start) < least_s:
            call()
            calls += 1
        times.append(spent / calls)
    return min(times)


def main() -> None:
    parser = common.arguments(__doc__)
    parser.set_defaults(threads=1, repeat=3)
    parser.add_argument("--outs", type=int, default=4864)
    parser.add_argument("--ins", type=int, default=896)
    parser.add_argument("--weights-mb", type=int, default=256)
    parser.add_argument("--rows", default="1,2,4,8,32,512")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--levels", default="", help="feature levels; empty: the best one here")
    parser.add_argument("--least-s", type=float, default=0.05, help="processor seconds of one measurement")
    args = parser.parse_args()
    native = library()
    products = Products(native)
    found: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    print(f"{'level':8}{'kind':6}" + "".join(f"{f'{n} rows':>16}" for n in args.rows.split(",")) + f"{'memory':>10}")
    for level in args.levels.split(",") if args.levels else [native.isa]:
        native.force(level)
        for kind in args.kinds.split(","):
            one = matrix_of(products, kind, args.outs, args.ins)
            copies = [one]
            while (len(copies) + 1) * one.bytes <= args.weights_mb << 20:
                made = products.empty(kind, args.outs, args.ins, scales="f16")
                made.memory[:] = one.memory
                copies.append(made)
            line, memory = f"{level:8}{kind:6}", [read_rate(native)]
            for rows in map(int, args.rows.split(",")):
                x = np.random.default_rng(3).standard_normal((rows, args.ins), np.float32)
                ready, turn = products.prepare(x, [kind]), [0]
                y = np.empty((rows, args.outs), np.float32)

                def call(ready=ready, turn=turn, y=y, copies=copies) -> None:
                    products.into(copies[turn[0] % len(copies)], ready, y)
                    turn[0] += 1

                spent = best_time(call, args.repeat, args.least_s)
                result = {"gb_s": one.bytes / spent / 1e9, "gmac_s": rows * args.outs * args.ins / spent / 1e9}
                found.setdefault(level, {}).setdefault(kind, {})[str(rows)] = {
                    k: round(v, 2) for k, v in result.items()
                }
                line += f"{result['gb_s']:7.1f}{result['gmac_s']:8.1f} "
            memory.append(read_rate(native))
            found[level][kind]["memory"] = {"gb_s": round(max(memory), 2)}
            print(f"{line}{max(memory):10.1f}", flush=True)
    print("each cell: GB/s of packed weights, GMAC/s; memory: GB/s of plain reading")
    common.keep("native_kernels", args, found)


if __name__ == "__main__":
    main()

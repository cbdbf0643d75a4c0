"""What masking costs in a stream: characters that are held back, and processor time of each piece.

    python bench/guards.py FILE

Reads the text of FILE in pieces of 4 characters, as a model writes it, once for each set of kinds.
"""

import json
import sys
import time
from pathlib import Path

from creuset.core.personal import KINDS, MASKED
from creuset.server.protect.guards.masking import StreamMasker

PIECE = 4
SETS = {"masked by default": MASKED, "all kinds": KINDS, "mail only": ("email",)}


def main() -> None:
    text, found = Path(sys.argv[1]).read_text(encoding="utf-8"), {}
    for name, kinds in SETS.items():
        masker, held, out, begun = StreamMasker(kinds), 0, 0, time.process_time()
        for at in range(0, len(text), PIECE):
            out += len(masker.push(text[at : at + PIECE]))
            held += at + PIECE - out
        pieces = -(-len(text) // PIECE)
        found[name] = {
            "held_characters": round(held / pieces, 1),
            "microseconds_a_piece": round(1e6 * (time.process_time() - begun) / pieces),
        }
        one = found[name]
        print(f"{name:20} {one['held_characters']:8} characters held back {one['microseconds_a_piece']:6} µs a piece")
    print(json.dumps({"file": Path(sys.argv[1]).name, "characters": len(text), "guards": found}))


if __name__ == "__main__":
    main()

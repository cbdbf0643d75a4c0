"""What masking costs in a stream: characters that are held back, and processor time of each piece.

    python bench/guards.py FILE --keep

Reads the text of FILE in pieces of 4 characters, as a model writes it, once for each set of kinds.
"""

import time
from pathlib import Path

import common

from creuset.core.personal import KINDS, MASKED
from creuset.server.protect.guards.masking import StreamMasker

PIECE = 4
SETS = {"masked by default": MASKED, "all kinds": KINDS, "mail only": ("email",)}


def main() -> None:
    parser = common.arguments(__doc__)
    parser.add_argument("file", type=Path, help="a text")
    args = parser.parse_args()
    text, found, rows = args.file.read_text(encoding="utf-8"), {}, []
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
        rows.append((name, *found[name].values()))
    print(common.table(("kinds", "characters held back", "us a piece"), rows))
    common.keep("guards", args, found)


if __name__ == "__main__":
    main()

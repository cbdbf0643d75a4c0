"""How fast is personal data found and masked? MB of text by second of processor time, one thread.

    python bench/personal_data.py FILE.jsonl.xz ... [--documents 700]

`find` looks for all kinds, `mask` for those that a corpus masks. The last line is one JSON document.
"""

import itertools
import time
from pathlib import Path

import common

from creuset.core import jsonl
from creuset.core.personal import find, mask


def main() -> None:
    parser = common.arguments(__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--documents", type=int, default=700)
    args = parser.parse_args()
    rows = []
    for file in args.files:
        texts = [row["text"] for _, row in itertools.islice(jsonl.read(file), args.documents)]
        size = sum(len(text.encode()) for text in texts) / 1e6
        row: dict[str, str | float] = {"file": file.name, "mb": round(size, 1)}
        for name, look in (("find", find), ("mask", mask)):
            began = time.process_time()
            for text in texts:
                look(text)
            row[name] = round(size / (time.process_time() - began), 1)
        rows.append(row)
        print(f"{row['file']:32} {row['mb']:6} MB   find {row['find']} MB/s   mask {row['mask']} MB/s")
    args.files = [file.name for file in args.files]
    common.keep("personal_data", args, {"files": rows})


if __name__ == "__main__":
    main()

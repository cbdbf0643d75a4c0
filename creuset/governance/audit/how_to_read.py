"""How to read the figures of a part, for people who did not write the tests. The words are in how_to_read.toml."""

import tomllib
from pathlib import Path

from creuset.report.language import Text

_TABLE = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
PARTS, COMPARED, GROUPS = (
    {name: Text(**words) for name, words in _TABLE[kind].items()} for kind in ("part", "compared", "groups")
)


def how_to_read(task: str) -> Text | None:
    """The words of the longest name that `task` begins with: those of `bbq` serve `bbq_chat` too."""
    return next((PARTS[name] for name in sorted(PARTS, key=len, reverse=True) if task.startswith(name)), None)

"""Parts of the audit that are checks, run in a room of the test's own."""

import asyncio
import json

from creuset.benchmarks.part import Found, Room
from creuset.governance.audit.items import PARTS
from creuset.governance.audit.run import measure_of, placed


def checked(part: str, **room) -> Found:
    """What the part's check finds; `room` are the fields of a Room but for the subject, whom no check asks here."""
    place = next(p for p in PARTS if p.name == part).check
    found: Found = asyncio.run(placed(place)(Room(subject=None, **room)))  # type: ignore[arg-type]
    assert [measure_of(json.loads(json.dumps(m.row()))) for m in found.measures] == found.measures  # nothing clashes
    return found

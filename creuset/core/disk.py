"""No room on a disk, told as an error of ours that names the file."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from creuset.core.errors import DiskFull

# No space; a quota is used up; a limit on the size of a file; a disk that has become read-only.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
HINT = "make room and run the same command again: what was answered or computed before and is kept is not done anew"


@contextmanager
def room_for(what: Path | str = "") -> Iterator[None]:
    """Raises DiskFull, naming the file that could not be written and `what` it was to be part of."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        file = file_of(error)
        name = f"`{file or what}`" if file or what else "a file, or standard output,"
        part = f", of `{what}`," if file and what else ""
        raise DiskFull(f"{name}{part} cannot be written: {error.strerror}", hint=HINT) from error


def file_of(error: OSError) -> str:
    """The file that an error is about. That of a write names none: it is then what pathlib was writing."""
    if error.filename is not None:  # of a copy the second one is the one written
        return str(error.filename2 or error.filename)
    trace = error.__traceback__
    found = ""
    while trace is not None:
        mine = trace.tb_frame.f_locals.get("self")
        if trace.tb_frame.f_code.co_name in ("write_text", "write_bytes") and isinstance(mine, Path):
            found = str(mine)
        trace = trace.tb_next
    return found

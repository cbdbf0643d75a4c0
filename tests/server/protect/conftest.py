"""The house of the tests of tenants: two organizations, three people, a clock that stands still."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ..tenants.conftest import NOW, House, build


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    now = [float(NOW)]
    built = build(tmp_path / "server.db", lambda: now[0], now)
    yield built
    built.directory.close()
    built.directory.database.close()

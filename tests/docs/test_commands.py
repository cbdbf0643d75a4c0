"""Every command in README and the guides works (commands.py says how)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.commands import PAGES, Servers, run_page


@pytest.fixture(scope="module")
def servers(shelf: Path) -> Iterator[Servers]:
    servers = Servers(shelf)
    yield servers
    servers.stop()


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_every_command_of_the_page_works(page: Path, room: Path, servers: Servers) -> None:
    run_page(page, room, servers)

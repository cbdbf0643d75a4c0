"""Every command in README and the guides works (commands.py says how)."""

from pathlib import Path

import pytest

from tests.docs.commands import PAGES, run_page


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_every_command_of_the_page_works(page: Path, room: Path) -> None:
    run_page(page, room)

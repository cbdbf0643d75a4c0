"""What the pages point to is there."""

import re
from pathlib import Path

import pytest

TREE = Path(__file__).parents[2]
PAGES = [*sorted(TREE.glob("*.md")), *sorted((TREE / "docs").rglob("*.md"))]
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(TREE)))
def test_every_link_of_the_page_leads_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text()):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (page.parent / target).exists(), f"{page.name} points to {target}"


def test_the_tour_visits_ten_files_of_the_package() -> None:
    visited = LINK.findall((TREE / "docs/tour.md").read_text())
    assert len(visited) == 10 and all((TREE / "docs" / v).resolve().is_file() for v in visited)


def test_no_two_decisions_have_one_number() -> None:
    numbers = [int(page.name[:4]) for page in sorted((TREE / "docs" / "adr").glob("[0-9]*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))

"""Licences of published models: open for everybody, or to be agreed to before anything is fetched."""

import functools
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """What is known of a licence. `id` is as model cards write it; "" where a model names none."""

    id: str
    title: str
    open: bool = False
    limits: str = ""
    link: str = ""
    gated: bool = False  # the hub gives the files only to accounts that accepted the terms of its page

    @property
    def free(self) -> bool:
        """Nothing has to be agreed to."""
        return self.open and not self.limits and not self.gated

    def sentences(self) -> list[str]:
        """What a person is told before the model is fetched."""
        told = [f"licence: {self.title}" + (f" ({self.id})" if self.id and self.id != self.title else "")]
        if self.limits:
            told.append(f"limits: {self.limits}")
        if not self.id:
            told.append("limits: its page names no licence, so that nothing is allowed but what its makers allow you")
        elif not self.open and not self.limits:
            told.append("limits: not known to us; read its text")
        if self.gated:
            told.append("access: only accounts that accepted the terms on its page get the files")
        if self.link:
            told.append(f"text: {self.link}")
        return told


@functools.cache
def _table() -> dict[str, dict[str, Any]]:
    return tomllib.loads((Path(__file__).parent / "licences.toml").read_text(encoding="utf-8"))


def terms_of(id: str, *, title: str = "", link: str = "", limits: str = "", gated: bool = False) -> Terms:
    """The licence of this id. A `title`, a `link` and further `limits` are what the model's own page says."""
    row = _table().get(id.lower(), {})
    both = " ".join(part for part in (str(row.get("limits", "")), limits) if part)
    return Terms(
        id=id.lower(),
        title=str(row.get("title") or title or id or "none named"),
        open=bool(row.get("open", False)),
        limits=both,
        link=link,
        gated=gated,
    )

"""The life of a name: an alias, deprecated, ended, with a successor. Told in /v1/models and in headers.

Deprecation is RFC 9745 (a moment, as a structured date), Sunset is RFC 8594 (an HTTP date), and Link names the
successor (RFC 5829).
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote

from creuset.core.errors import NotFound
from creuset.server.routes.config import NameSpec
from creuset.types.fields import show


class NameEnded(NotFound):
    """The name was served until its end."""

    code = "model_ended"


@dataclass(frozen=True, slots=True)
class NameLife:
    name: str
    alias_of: str = ""
    deprecated: date | None = None
    ends: date | None = None
    successor: str = ""

    @classmethod
    def of(cls, name: str, spec: NameSpec) -> "NameLife":
        return cls(name, spec.alias_of, spec.deprecated, spec.ends, spec.successor)

    def is_deprecated(self, now: float) -> bool:
        return self.deprecated is not None and moment(self.deprecated) <= now

    def is_over(self, now: float) -> bool:
        return self.ends is not None and moment(self.ends) <= now

    def refuse_ended(self, now: float) -> None:
        """NameEnded from its last day on, with the successor."""
        if self.is_over(now):
            hint = f"ask for `{self.successor}`" if self.successor else ""
            raise NameEnded(
                f"the model {show(self.name)} was served until {self.ends}", param="model", hint=hint
            )  # fmt: skip

    def headers(self) -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = {}
        if self.deprecated is not None:
            found[b"deprecation"] = b"@%d" % moment(self.deprecated)
        if self.ends is not None:
            found[b"sunset"] = format_datetime(datetime.fromtimestamp(moment(self.ends), UTC), usegmt=True).encode()
        if self.successor and found:
            found[b"link"] = f'</v1/models/{quote(self.successor, safe="")}>; rel="successor-version"'.encode()
        return found

    def as_json(self, now: float) -> dict[str, Any]:
        """What is added to the object of a model."""
        if not (self.alias_of or self.deprecated or self.ends or self.successor):
            return {}
        return {
            "life": "ended" if self.is_over(now) else "deprecated" if self.is_deprecated(now) else "active",
            "deprecation_date": self.deprecated and self.deprecated.isoformat(),
            "shutdown_date": self.ends and self.ends.isoformat(), "successor": self.successor or None,
            **({"alias_of": self.alias_of} if self.alias_of else {}),
        }  # fmt: skip


def moment(day: date) -> int:
    """Its first second, in UTC."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())

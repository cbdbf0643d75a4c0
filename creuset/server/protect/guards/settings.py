"""The guards of a server, in a TOML file, or of a project, in its rules: an ordered list, each with its stages.

[[guard]]
kind = "mask"                    # personal data becomes [EMAIL], [PHONE] ...
kinds = ["email", "iban", "nir"] # default: all that core/personal masks
stages = ["before", "after"]     # the model; default: both

[[guard]]
kind = "deny"                    # a text with one of these words is refused
words = ["project falcon"]

[[guard]]
kind = "http"                    # a program of yours decides (http.py)
url = "https://guard.example/check"
deadline_ms = 500
"""

import tomllib
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from creuset.core.errors import ConfigError
from creuset.core.personal import KINDS, MASKED

Stage = Literal["before", "after"]
LONGEST_MS = 60_000


class GuardSettings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    kind: Literal["mask", "deny", "http"]
    name: str = ""  # told where it refuses
    stages: tuple[Stage, ...] = ("before", "after")
    kinds: tuple[str, ...] = MASKED  # of personal data: mask
    action: Literal["mask", "refuse"] = "mask"  # mask: what is done about them
    words: tuple[str, ...] = ()  # deny
    url: str = ""  # http
    deadline_ms: int = 2_000  # http
    key_env: str = ""  # http: the server's environment variable of its bearer token

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.kinds) - set(KINDS)):
            raise ValueError(f"`kinds` has {unknown[0]!r}; there are {', '.join(KINDS)}")
        if not self.stages:
            raise ValueError("`stages` is empty: this guard would do nothing")
        if self.kind == "mask" and not self.kinds:
            raise ValueError("`kinds` is empty: this guard would do nothing")
        if self.kind == "deny" and not (self.words and all(word.strip() for word in self.words)):
            raise ValueError("a guard of kind deny needs `words`, none of them empty")
        if self.kind == "http" and (
            urlsplit(self.url).scheme not in ("http", "https") or not urlsplit(self.url).hostname
        ):
            raise ValueError(f"a guard of kind http needs `url`, an http or https address, got {self.url!r}")
        if not 1 <= self.deadline_ms <= LONGEST_MS:
            raise ValueError(f"`deadline_ms` must be between 1 and {LONGEST_MS}, got {self.deadline_ms}")

    @property
    def told(self) -> str:
        return self.name or self.kind


class _File(msgspec.Struct, forbid_unknown_fields=True):
    guard: list[GuardSettings]


def read_guards(file: Path) -> list[dict[str, Any]]:
    """The guards of a file, checked, as plain values. ConfigError names the file and what is wrong."""
    try:
        raw = tomllib.loads(file.read_text(encoding="utf-8"))
        found = msgspec.convert(raw, _File).guard
    except OSError as error:
        raise ConfigError(f"the guards `{file}` cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise ConfigError(f"the guards `{file}` cannot be: {error}") from None
    if not found:
        raise ConfigError(f"the guards `{file}` are none: it has no [[guard]]")
    plain: list[dict[str, Any]] = msgspec.to_builtins(found)
    return plain


def parse_guards(text: str) -> list[GuardSettings]:
    """Guards as rules keep them: JSON text."""
    return msgspec.json.decode(text, type=list[GuardSettings])

"""API keys: shown once, stored as digests.

    crs-<43 characters, 256 random bits><6 characters, checksum>

The file holds one JSON object: {"keys": [{"name", "digest", "created"}]}. A digest is the SHA-256 of
the whole key: with 256 random bits there is nothing to guess, so it needs neither salt nor slowness.
The checksum tells a key from a look-alike without knowing any (secret scanners use it).
Removing an entry revokes the key at its next use.
"""

import hashlib
import json
import os
import secrets
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from creuset.core.errors import ConfigError, NotAllowed
from creuset.types.tenants import INFERENCE, OPERATIONS_READ, USAGE_READ, Caller

PREFIX = "crs-"
ORGANIZATION = "file"  # all keys of a file are in it
ALLOWED = frozenset({INFERENCE, USAGE_READ, OPERATIONS_READ})
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def new_key() -> str:
    body = secrets.token_urlsafe(32)
    return f"{PREFIX}{body}{_checksum(body)}"


def well_formed(key: str) -> bool:
    body = key.removeprefix(PREFIX)
    return key.startswith(PREFIX) and len(body) == 49 and _checksum(body[:-6]) == body[-6:]


def digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def add_key(file: Path, name: str, *, clock: Callable[[], float] = time.time) -> str:
    """Make a key called `name`, store its digest in `file` (made if absent), return the key: it is seen this once."""
    entries = _read(file) if file.exists() else []
    if any(entry["name"] == name for entry in entries):
        raise ConfigError(
            f"`{file}` already has a key named `{name}`", hint="choose another name, or remove that entry"
        )
    key = new_key()
    entries.append({"name": name, "digest": digest(key), "created": int(clock())})
    scratch = file.with_name(file.name + ".partial")
    with open(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
        stream.write(json.dumps({"keys": entries}, indent=2) + "\n")
    scratch.replace(file)
    return key


class KeyRing:
    """Who a key belongs to. The file is read again when it changes."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._stamp: tuple[int, int] | None = None
        self._names: dict[str, str] = {}
        self._refresh()
        if not self._names:
            raise ConfigError(f"`{file}` holds no key", hint="make one: creuset serve --new-key NAME --keys FILE")

    def identify(self, key: str, address: str = "") -> Caller:
        """Whose `key` it is: its name, in one flat organization. Any `address` will do.

        Looked up by digest, so that time says nothing of the keys that exist.
        """
        self._refresh()
        name = self._names.get(digest(key))
        if name is None:
            raise NotAllowed(
                "this API key is not known here" if key else "an API key is required: Authorization: Bearer KEY"
            )
        return Caller(owner=name, key=name, organization=ORGANIZATION, scopes=ALLOWED)

    def session(self, token: str) -> Caller:
        """Nobody signs on to a file of keys."""
        return self.identify("")

    def standing(self, id: str) -> Caller:
        """The key of this name, if it is there still."""
        self._refresh()
        if id not in self._names.values():
            raise NotAllowed("it is not known here any more")
        return Caller(owner=id, key=id, organization=ORGANIZATION, scopes=ALLOWED)

    def _refresh(self) -> None:
        try:
            found = self._file.stat()
        except OSError as error:
            raise ConfigError(f"the key file `{self._file}` cannot be read: {error.strerror}") from None
        stamp = (found.st_mtime_ns, found.st_size)
        if stamp != self._stamp:
            self._names = {entry["digest"]: entry["name"] for entry in _read(self._file)}
            self._stamp = stamp


def _read(file: Path) -> list[dict[str, Any]]:
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
        entries = value["keys"]
        if not all(type(e["name"]) is str and len(e["digest"]) == 64 for e in entries):
            raise ValueError("an entry has no name or no digest")
    except OSError as error:
        raise ConfigError(f"the key file `{file}` cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"`{file}` is not a key file: {error}") from None
    return list(entries)


def _checksum(body: str) -> str:
    value, letters = zlib.crc32(body.encode()), ""
    for _ in range(6):
        value, digit = divmod(value, 62)
        letters = _BASE62[digit] + letters
    return letters

"""The secret that key digests are made with. It lies in a file of its own, so that a stolen database tells no key."""

import hmac
import os
import secrets
import stat
from pathlib import Path

from creuset.core.errors import ConfigError
from creuset.server.settings import MEMORY

SIZE = 32  # bytes


class Pepper:
    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def digest(self, key: str) -> bytes:
        """HMAC-SHA256 of `key`: what the database holds of it."""
        return hmac.digest(self._secret, key.encode("utf-8", "surrogateescape"), "sha256")

    @property
    def mark(self) -> str:
        """Tells this pepper from another, and nothing of its secret."""
        return self.digest("creuset: the mark of a pepper").hex()


def pepper_file(url: str, given: Path | None, folder: Path) -> Path:
    """`given`, or beside the file of a SQLite database, or in `folder`."""
    if given is not None:
        return given
    if url.startswith("sqlite") and url != MEMORY:
        return Path(url.removeprefix("sqlite:///") + ".pepper")
    return folder / "pepper"


def make_pepper(file: Path) -> Pepper:
    """A new secret in `file`, readable by its owner alone. An existing file is read, never replaced."""
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return read_pepper(file)
    with open(handle, "w", encoding="ascii") as stream:
        stream.write(secrets.token_hex(SIZE) + "\n")
    return read_pepper(file)


def read_pepper(file: Path) -> Pepper:
    """ConfigError where it is missing, damaged, or readable by others."""
    try:
        mode, text = stat.S_IMODE(file.stat().st_mode), file.read_text(encoding="ascii").strip()
        secret = bytes.fromhex(text)
    except OSError as error:
        raise ConfigError(
            f"the pepper `{file}` cannot be read: {error.strerror}",
            hint="keys are recognised with it: bring it back from your backup, or name it with --pepper",
        ) from None
    except ValueError:
        raise ConfigError(f"`{file}` is not a pepper: it must hold {2 * SIZE} hexadecimal digits") from None
    if len(secret) != SIZE:
        raise ConfigError(f"`{file}` is not a pepper: it must hold {2 * SIZE} hexadecimal digits, got {len(text)}")
    if mode & 0o077:
        raise ConfigError(f"`{file}` can be read by others (mode {mode:o})", hint=f"chmod 600 {file}")
    return Pepper(secret)

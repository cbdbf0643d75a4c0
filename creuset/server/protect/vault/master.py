"""The master key: it wraps the data keys of organizations, and is never in the database.

`file:PATH`           64 hexadecimal digits, in a file that only its owner can read
`command:WORDS`       what that command prints: 64 hexadecimal digits, such as a key service decrypts
`pkcs11:...`          an AES key that never leaves its device (`pkcs11.py`)
"""

import os
import secrets
import shlex
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from creuset.core.errors import ConfigError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SIZE = 32  # bytes of every key: AES-256
NONCE = 12
COMMAND_S = 20.0  # a command that prints a key may take so long


class MasterKey(Protocol):
    @property
    def id(self) -> str:
        """Tells it from another one, and nothing of its secret."""

    def wrap(self, key: bytes, of: str) -> bytes:
        """`key`, encrypted; `of` says whose it is, and must be said again."""

    def unwrap(self, wrapped: bytes, of: str) -> bytes:
        """ConfigError where this master key did not wrap it."""


def aes(key: bytes) -> "AESGCM":
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # a package that others do without

    return AESGCM(key)


class SecretMaster:
    """A master key whose bytes this process knows."""

    def __init__(self, secret: bytes) -> None:
        import hashlib

        self._aes = aes(secret)
        self.id = hashlib.sha256(b"creuset: the mark of a master key" + secret).hexdigest()[:16]

    def wrap(self, key: bytes, of: str) -> bytes:
        nonce = secrets.token_bytes(NONCE)
        return nonce + self._aes.encrypt(nonce, key, of.encode())

    def unwrap(self, wrapped: bytes, of: str) -> bytes:
        from cryptography.exceptions import InvalidTag

        try:
            return self._aes.decrypt(wrapped[:NONCE], wrapped[NONCE:], of.encode())
        except (InvalidTag, ValueError):
            raise wrong_master(self.id, of) from None


def wrong_master(id: str, of: str) -> ConfigError:
    return ConfigError(
        f"the master key {id} cannot unwrap the data key of {of}",
        hint="name the master key that it was wrapped with: --master-key",
    )


def read_master(spec: str) -> MasterKey:
    """The master key that `--master-key SPEC` names. ConfigError says what is wrong; it never repeats a secret."""
    kind, _, rest = spec.partition(":")
    if kind == "file" and rest:
        return SecretMaster(_from_file(Path(rest).expanduser()))
    if kind == "command" and rest:
        return SecretMaster(_from_command(rest))
    if kind == "pkcs11" and rest:
        from creuset.server.protect.vault.pkcs11 import open_token

        return open_token(rest)
    raise ConfigError(f"--master-key must be file:PATH, command:WORDS or pkcs11:..., got `{kind[:20]}`")


def make_master(file: Path) -> None:
    """A new master key in `file`. ConfigError where something is there already."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise ConfigError(f"no master key can be written to `{file}`: {error.strerror}") from None
    with open(handle, "w", encoding="ascii") as stream:
        stream.write(secrets.token_hex(SIZE) + "\n")


def _from_file(file: Path) -> bytes:
    try:
        mode, text = stat.S_IMODE(file.stat().st_mode), file.read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise ConfigError(f"the master key `{file}` cannot be read: {error.strerror}") from None
    if mode & 0o077:
        raise ConfigError(f"`{file}` can be read by others (mode {mode:o})", hint=f"chmod 600 {file}")
    return _digits(text, f"`{file}`")


def _from_command(words: str) -> bytes:
    name = shlex.split(words)[0]
    try:
        done = subprocess.run(shlex.split(words), capture_output=True, timeout=COMMAND_S, check=False)
    except subprocess.TimeoutExpired:
        raise ConfigError(f"the command `{name}` of --master-key did not end within {COMMAND_S:g} s") from None
    except OSError as error:
        raise ConfigError(f"the command `{name}` of --master-key cannot be run: {error.strerror}") from None
    if done.returncode:
        raise ConfigError(f"the command `{name}` of --master-key ended with {done.returncode}")
    return _digits(done.stdout.decode("ascii", "replace"), f"the command `{name}`")


def _digits(text: str, where: str) -> bytes:
    try:
        secret = bytes.fromhex(text.strip())
    except ValueError:
        secret = b""
    if len(secret) != SIZE:
        raise ConfigError(f"{where} holds no master key: that is {2 * SIZE} hexadecimal digits")
    return secret

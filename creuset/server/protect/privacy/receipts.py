"""Receipts of erasures: what was deleted and what was kept, signed with Ed25519 so that anybody can check them.

The signing key lies in a file beside the database (`.signing` behind its name), readable by its owner alone. Its public
half is in each receipt, and `creuset privacy receipt --public` prints it: whoever gets a receipt compares the two.
"""

import base64
import json
import os
import stat
from pathlib import Path
from typing import Any

from creuset.core.errors import ConfigError, DataError

KIND = "creuset erasure receipt 1"


def make_signing_key(file: Path) -> Any:
    """The key in `file`, made where there is none. ConfigError where others can read it."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    except OSError as error:
        raise ConfigError(f"no signing key can be written to `{file}`: {error.strerror}") from None
    else:
        with open(handle, "w", encoding="ascii") as stream:
            stream.write(Ed25519PrivateKey.generate().private_bytes_raw().hex() + "\n")
    try:
        mode, text = stat.S_IMODE(file.stat().st_mode), file.read_text(encoding="ascii").strip()
        if mode & 0o077:
            raise ConfigError(f"`{file}` can be read by others (mode {mode:o})", hint=f"chmod 600 {file}")
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(text))
    except OSError as error:
        raise ConfigError(f"the signing key `{file}` cannot be read: {error.strerror}") from None
    except ValueError:
        raise ConfigError(f"`{file}` is no signing key: it must hold 64 hexadecimal digits") from None


def public_of(key: Any) -> str:
    return str(key.public_key().public_bytes_raw().hex())


def sign(key: Any, body: dict[str, Any]) -> dict[str, Any]:
    """`body` as a receipt."""
    said = {"kind": KIND, **body, "public_key": public_of(key)}
    return said | {"signature": base64.b64encode(key.sign(_bytes(said))).decode()}


def verify(receipt: Any, public: str | None = None) -> None:
    """DataError unless the receipt was signed by the key it names, and `public` is that key."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if not isinstance(receipt, dict) or receipt.get("kind") != KIND:
        raise DataError("this is no receipt of an erasure")
    if public is not None and public != receipt.get("public_key"):
        raise DataError(f"the receipt was signed by another key: {str(receipt.get('public_key'))[:64]}")
    said = {name: value for name, value in receipt.items() if name != "signature"}
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(str(receipt["public_key"])))
        key.verify(base64.b64decode(str(receipt["signature"]), validate=True), _bytes(said))
    except (InvalidSignature, KeyError, ValueError):
        raise DataError("the signature of this receipt does not hold: it was changed, or never signed") from None


def _bytes(said: dict[str, Any]) -> bytes:
    return json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()

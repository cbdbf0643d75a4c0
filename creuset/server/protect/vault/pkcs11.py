"""A master key in a PKCS#11 device, such as a hardware security module: it wraps there, and its bytes never come out.

    pkcs11:module=/usr/lib/softhsm/libsofthsm2.so;token=creuset;label=master

The PIN is in $CREUSET_PKCS11_PIN, or in the file that `pin-file=` names. The key is AES with 256 bits; the mechanism is
AES-GCM, with a nonce from the device and the owner of the data key as additional data.
"""

import os
from pathlib import Path
from typing import Any

from creuset.core.errors import ConfigError
from creuset.server.protect.vault.master import NONCE, wrong_master

FIELDS = ("module", "token", "label", "pin-file")
TAG_BITS = 128


class TokenMaster:
    def __init__(self, session: Any, key: Any, id: str) -> None:
        self._session, self._key, self.id = session, key, id

    def wrap(self, key: bytes, of: str) -> bytes:
        import pkcs11

        nonce = bytes(self._session.generate_random(8 * NONCE))
        params = pkcs11.GCMParams(nonce, of.encode(), TAG_BITS)
        return nonce + bytes(self._key.encrypt(key, mechanism=pkcs11.Mechanism.AES_GCM, mechanism_param=params))

    def unwrap(self, wrapped: bytes, of: str) -> bytes:
        import pkcs11

        params = pkcs11.GCMParams(wrapped[:NONCE], of.encode(), TAG_BITS)
        try:
            return bytes(self._key.decrypt(wrapped[NONCE:], mechanism=pkcs11.Mechanism.AES_GCM, mechanism_param=params))
        except pkcs11.PKCS11Error:
            raise wrong_master(self.id, of) from None


def open_token(spec: str) -> TokenMaster:
    """The key that `spec` names. ConfigError says which of module, token, PIN or key is not there."""
    import pkcs11

    given = dict(part.partition("=")[::2] for part in spec.split(";"))
    if set(given) - set(FIELDS) or not all(given.get(name) for name in FIELDS[:3]):
        raise ConfigError("--master-key pkcs11: needs module=, token= and label=, split by `;`; pin-file= may be there")
    pin = os.environ.get("CREUSET_PKCS11_PIN", "")
    if "pin-file" in given:
        try:
            pin = Path(given["pin-file"]).expanduser().read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ConfigError(f"the PIN file `{given['pin-file']}` cannot be read: {error.strerror}") from None
    if not pin:
        raise ConfigError("a PKCS#11 master key needs its PIN in $CREUSET_PKCS11_PIN, or pin-file=")
    name, label = given["token"], given["label"]
    try:
        token = pkcs11.lib(given["module"]).get_token(token_label=name)
        try:
            session = token.open(user_pin=pin)
        except pkcs11.UserAlreadyLoggedIn:  # by another key of this process, on the same token
            session = token.open()
        key = session.get_key(label=label, key_type=pkcs11.KeyType.AES, object_class=pkcs11.ObjectClass.SECRET_KEY)
    except pkcs11.NoSuchToken:
        raise ConfigError(f"the PKCS#11 module `{given['module']}` has no token called `{name}`") from None
    except pkcs11.NoSuchKey:
        raise ConfigError(f"the PKCS#11 token `{name}` has no AES key called `{label}`") from None
    except (pkcs11.PKCS11Error, RuntimeError) as error:
        why = type(error).__name__ if isinstance(error, pkcs11.PKCS11Error) else "the module cannot be loaded"
        raise ConfigError(f"the PKCS#11 token `{name}` cannot be used: {why}") from None
    return TokenMaster(session, key, f"pkcs11/{name}/{label}"[:64])

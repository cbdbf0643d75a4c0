"""Passwords: argon2id, with the parameters of its library, and a length that people can use."""

from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from creuset.core.errors import RequestError

SHORTEST, LONGEST = 12, 256  # characters; NIST SP 800-63B asks for 8, and for no rule on what they are
_HASHER = PasswordHasher()


def encoded(password: str) -> str:
    """As it is stored. RequestError for one that is too short or too long; its words are never repeated."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise RequestError(
            f"a password must have {SHORTEST} to {LONGEST} characters, got {len(password)}", param="password"
        )
    return _HASHER.hash(password)


def matches(stored: str | None, password: str) -> bool:
    """Whether it is the password. Without a stored one it takes as long to say no."""
    try:
        return _HASHER.verify(stored or _nobodys(), password[: LONGEST + 1]) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


@lru_cache(maxsize=1)
def _nobodys() -> str:
    """The encoding of a password that nobody has."""
    return _HASHER.hash("")

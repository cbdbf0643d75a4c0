"""API keys: their shape, what the file holds, who is let in, and what is said of a file that is none."""

import hashlib
import json
import os
import re
import stat
import string
import zlib
from pathlib import Path

import pytest

from creuset.core.errors import ConfigError, NotAllowed
from creuset.server.tenants.keys import PREFIX, KeyRing, add_key, digest, new_key, well_formed

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase


def checksum(body: str) -> str:
    """CRC-32 in base 62, six digits, the highest first: as written in the header of the module."""
    value = zlib.crc32(body.encode())
    return "".join(BASE62[value // 62**place % 62] for place in reversed(range(6)))


def rewrite(file: Path, text: str, *, later_ns: int = 10**9) -> None:
    """Another content and another time, however coarse the clock of the file system is."""
    file.write_text(text)
    when = file.stat().st_mtime_ns + later_ns
    os.utime(file, ns=(when, when))


def test_a_key_is_a_prefix_256_random_bits_and_their_checksum() -> None:
    key = new_key()
    assert re.fullmatch(r"crs-[A-Za-z0-9_-]{43}[A-Za-z0-9]{6}", key)
    body = key.removeprefix(PREFIX)
    assert body[-6:] == checksum(body[:-6])
    assert len({new_key() for _ in range(50)}) == 50


def test_a_look_alike_is_told_from_a_key_without_knowing_any() -> None:
    body = "A" * 43
    good = f"crs-{body}{checksum(body)}"
    assert well_formed(good)
    other = "b" if good[-1] != "b" else "c"
    wrong = [good[:-1] + other, good[4:], "sk-" + good[4:], good + "x", good[:-1], "", "crs-", f"crs-{checksum('')}"]
    assert not any(map(well_formed, wrong))
    longer = "A" * 44
    assert not well_formed(f"crs-{longer}{checksum(longer)}"), "a checksum that fits a body of another length"


def test_the_file_holds_names_digests_and_times_and_no_key(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    key = add_key(file, "ann", clock=lambda: 1_700_000_000.9)
    assert json.loads(file.read_text()) == {
        "keys": [{"name": "ann", "digest": hashlib.sha256(key.encode()).hexdigest(), "created": 1_700_000_000}]
    }
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["keys.json"], "nothing is left of how it was written"


def test_a_second_key_leaves_the_first_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    ann, bob = add_key(file, "ann"), add_key(file, "bob")
    ring = KeyRing(file)
    assert (ring.identify(ann).owner, ring.identify(bob).owner) == ("ann", "bob")
    assert [entry["name"] for entry in json.loads(file.read_text())["keys"]] == ["ann", "bob"]
    with pytest.raises(ConfigError, match="already has a key named `bob`"):
        add_key(file, "bob")
    assert KeyRing(file).identify(bob).owner == "bob", "the refused key replaced the one there"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda key: "", "an API key is required: Authorization: Bearer KEY"),
        (lambda key: new_key(), "this API key is not known here"),
        (lambda key: key + " ", "this API key is not known here"),
        (lambda key: key.upper(), "this API key is not known here"),
        (lambda key: key[:-1], "this API key is not known here"),
        (lambda key: digest(key), "this API key is not known here"),
        (lambda key: "ann", "this API key is not known here"),
        (lambda key: "\udcff é", "this API key is not known here"),
    ],
)
def test_only_the_key_itself_is_let_in(tmp_path: Path, change: object, words: str) -> None:
    file = tmp_path / "keys.json"
    key = add_key(file, "ann")
    asked = change(key)  # type: ignore[operator]
    with pytest.raises(NotAllowed) as refused:
        KeyRing(file).identify(asked)
    assert str(refused.value) == words
    assert (refused.value.status, refused.value.code) == (401, "invalid_api_key")
    assert not asked.strip() or asked.strip() not in str(refused.value), "the refusal repeats what was sent"


def test_a_change_of_the_file_counts_at_the_next_use(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    ann, bob = add_key(file, "ann"), add_key(file, "bob")
    ring = KeyRing(file)
    assert ring.identify(ann).owner == "ann"
    entries = json.loads(file.read_text())["keys"]
    rewrite(file, json.dumps({"keys": [e for e in entries if e["name"] == "bob"]}))
    with pytest.raises(NotAllowed):
        ring.identify(ann)
    assert ring.identify(bob).owner == "bob"
    rewrite(file, json.dumps({"keys": entries}), later_ns=2 * 10**9)
    assert ring.identify(ann).owner == "ann"


def test_a_file_of_the_same_size_and_another_time_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    key = add_key(file, "ann")
    ring = KeyRing(file)
    rewrite(file, file.read_text().replace('"ann"', '"bob"'))
    assert ring.identify(key).owner == "bob"


def test_all_keys_can_be_revoked_while_the_server_runs(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    key = add_key(file, "ann")
    ring = KeyRing(file)
    rewrite(file, '{"keys": []}')
    with pytest.raises(NotAllowed):
        ring.identify(key)


def test_a_file_that_goes_lets_nobody_in(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    key = add_key(file, "ann")
    ring = KeyRing(file)
    file.unlink()
    with pytest.raises(ConfigError, match=r"the key file `.*keys\.json` cannot be read: No such file"):
        ring.identify(key)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is not a key file"),
        ("[]", "is not a key file"),
        ("{}", "is not a key file: 'keys'"),
        ('{"keys": 5}', "is not a key file"),
        ('{"keys": [{"name": "ann"}]}', "is not a key file: 'digest'"),
        ('{"keys": [{"name": 5, "digest": "%s"}]}' % ("a" * 64), "an entry has no name or no digest"),
        ('{"keys": [{"name": "ann", "digest": "short"}]}', "an entry has no name or no digest"),
        ('{"keys": [{"name": "ann", "digest": 7}]}', "is not a key file"),
        ('{"keys": []}', "holds no key"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_name(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "keys.json"
    file.write_text(text)
    with pytest.raises(ConfigError, match=re.escape(words)) as refused:
        KeyRing(file)
    assert str(file) in str(refused.value)


def test_a_server_without_its_key_file_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file or directory"):
        KeyRing(tmp_path / "absent.json")

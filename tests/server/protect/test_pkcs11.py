"""A master key in SoftHSM, a PKCS#11 device in software: it wraps, and its bytes never come out."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from creuset.core.errors import ConfigError
from creuset.server.database import Database
from creuset.server.protect.vault.master import read_master
from creuset.server.protect.vault.rotate import rotate
from creuset.server.protect.vault.vault import Vault

from .test_vault import CANARY, fill, organization, read

MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")
MODULE = next((one for one in MODULES if Path(one).is_file()), "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not MODULE or shutil.which("pkcs11-tool") is None,
        reason="SoftHSM is not installed: apt-get install softhsm2 opensc",
    ),
]


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> str:
    home = tmp_path_factory.mktemp("softhsm")
    (home / "tokens").mkdir()
    (home / "softhsm2.conf").write_text(f"directories.tokendir = {home / 'tokens'}\nobjectstore.backend = file\n")
    os.environ["SOFTHSM2_CONF"] = str(home / "softhsm2.conf")  # read once, when the module is loaded
    subprocess.run(
        ["softhsm2-util", "--init-token", "--free", "--label", "creuset", "--pin", "1234", "--so-pin", "4321"],
        check=True, capture_output=True,
    )  # fmt: skip
    for label in ("master", "next"):
        subprocess.run(
            ["pkcs11-tool", "--module", MODULE, "--token-label", "creuset", "--login", "--pin", "1234", "--keygen",
             "--key-type", "AES:32", "--label", label],
            check=True, capture_output=True,
        )  # fmt: skip
    return f"pkcs11:module={MODULE};token=creuset;label="


def test_content_is_sealed_and_rotated_with_keys_that_never_leave_the_device(
    token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREUSET_PKCS11_PIN", "1234")
    database = Database(f"sqlite:///{tmp_path / 'server.db'}")
    old, new = read_master(token + "master"), read_master(token + "next")
    store = fill(database, Vault(database, old))
    assert read(store).count(CANARY) == 4
    rotate(Vault(database, old), Vault(database, new), organization)
    with pytest.raises(ConfigError, match="cannot unwrap the data key"):
        Vault(database, old).check()
    Vault(database, new).check()
    database.close()
    assert CANARY.encode() not in b"".join(file.read_bytes() for file in tmp_path.iterdir())


def test_what_is_missing_is_named(token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREUSET_PKCS11_PIN", "1234")
    with pytest.raises(ConfigError, match="has no AES key called `other`"):
        read_master(token + "other")
    with pytest.raises(ConfigError, match="has no token called `other`"):
        read_master(f"pkcs11:module={MODULE};token=other;label=master")
    with pytest.raises(ConfigError, match="token `creuset` cannot be used"):
        read_master("pkcs11:module=/not/there.so;token=creuset;label=master")
    monkeypatch.delenv("CREUSET_PKCS11_PIN")
    with pytest.raises(ConfigError, match="needs its PIN"):
        read_master(token + "master")
    with pytest.raises(ConfigError, match=r"the PIN file .* cannot be read"):
        read_master(f"{token}master;pin-file={tmp_path / 'pin'}")
    (tmp_path / "pin").write_text("1234\n")
    assert read_master(f"{token}master;pin-file={tmp_path / 'pin'}").id == "pkcs11/creuset/master"

"""`creuset privacy`, `vault` and `doctor` on a real database, from nothing to a verified receipt."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, update

from creuset.cli import main
from creuset.server.database import Database
from creuset.server.tenants.directory.tables import AUDIT


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    place = ["--database", str(tmp_path / "team.db")]

    def verb(*words: str, code: int = 0, database: bool = True) -> str:
        assert main([*words, *(place if database else [])]) == code, capsys.readouterr()
        told = capsys.readouterr()
        return told.out if code == 0 else told.out + told.err

    verb("people", "setup", "Acme", "--email", "ann@acme.org")
    verb("people", "add", "bob@acme.org", "--project", "default")
    return verb


def test_rules_are_set_shown_and_taken_back(run: Any, tmp_path: Path) -> None:
    assert "none" in run("privacy", "rules")
    run("privacy", "rules", "default", "--days", "7", "--country", "FR", "--country", "DE", "--law", "EU")
    found = json.loads(run("privacy", "rules", "default", "--json"))
    assert found == {"days": 7, "demand": {"countries": ["FR", "DE"], "laws": ["EU"], "operators": None}}
    run("privacy", "rules", "default", "--country", "any", "--for-ever", "--keep", "nothing")
    found = json.loads(run("privacy", "rules", "default", "--json"))
    assert found["keeps"] is False and "days" not in found and found["demand"]["countries"] is None
    (tmp_path / "g.toml").write_text('[[guard]]\nkind = "mask"\n')
    assert json.loads(run("privacy", "rules", "--guards", str(tmp_path / "g.toml"), "--json"))["guards"]
    assert "no project is called `other`" in run("privacy", "rules", "other", "--days", "1", code=2)


def test_a_person_is_held_exported_erased_and_the_receipt_is_verified(run: Any, tmp_path: Path) -> None:
    hold = json.loads(run("privacy", "hold", "user", "bob@acme.org", "--reason", "a case", "--json"))["id"]
    assert hold in run("privacy", "holds")
    assert "say --yes" in run("privacy", "erase", "user", "bob@acme.org", code=2)
    assert "is under the legal hold" in run("privacy", "erase", "user", "bob@acme.org", "--yes", code=2)
    run("privacy", "lift", hold)
    assert json.loads(run("privacy", "export", "bob@acme.org"))["user"]["email"] == "bob@acme.org"
    receipt = run("privacy", "erase", "user", "bob@acme.org", "--yes")
    (tmp_path / "receipt.json").write_text(receipt)
    public = run("privacy", "receipt", "--public").strip()
    assert "the receipt holds" in run("privacy", "receipt", str(tmp_path / "receipt.json"), "--key", public)
    assert json.loads(run("privacy", "receipt", json.loads(receipt)["id"])) == json.loads(receipt)
    assert "another key" in run("privacy", "receipt", str(tmp_path / "receipt.json"), "--key", "00" * 32, code=3)
    changed = json.loads(receipt) | {"subject": "user_other"}
    (tmp_path / "changed.json").write_text(json.dumps(changed))
    assert "does not hold" in run("privacy", "receipt", str(tmp_path / "changed.json"), code=3)
    assert b"bob@acme.org" not in b"".join(file.read_bytes() for file in tmp_path.glob("team.db*"))
    assert "needs an owner" in run("privacy", "erase", "user", "ann@acme.org", "--yes", code=2)


def test_an_organization_is_closed_and_erased_when_swept(run: Any) -> None:
    assert "closed" in run("privacy", "close", "--json")
    run("privacy", "close", "--reopen")
    run("privacy", "close", "--days", "0")
    assert "should be erased by now" in run("doctor", code=1)
    (receipt,) = json.loads(run("privacy", "sweep"))["erased"]
    assert receipt["what"] == "organization" and receipt["deleted"]["users"] == 2
    assert "nothing is wrong" in run("doctor")


def test_keys_are_made_rotated_and_the_doctor_names_what_is_wrong(run: Any, tmp_path: Path) -> None:
    for name in ("one", "two"):
        run("vault", "new-key", str(tmp_path / name), database=False)
    one, two = (f"file:{tmp_path / name}" for name in ("one", "two"))
    assert "nothing to rotate" in run("vault", "rotate", code=2)
    run("vault", "rotate", "--to", one)
    run("vault", "rotate", "--master-key", one, "--to", two)
    assert "nothing is wrong" in run("doctor", "--master-key", two)
    database = Database(f"sqlite:///{tmp_path / 'team.db'}")
    with database.transaction() as connection:
        connection.execute(update(AUDIT).where(AUDIT.c.at == 2).values(type="user.deleted"))
    database.close()
    assert "was changed" in run("doctor", "--master-key", two, code=1)
    database = Database(f"sqlite:///{tmp_path / 'team.db'}")
    with database.transaction() as connection:
        connection.execute(delete(AUDIT))
    database.close()
    assert "it is empty, and an organization is entered in it when it is made" in run("doctor", code=1)
    assert "10 years" in run("privacy", "drop-money", "--days", "10", code=2).replace("ten years", "10 years")

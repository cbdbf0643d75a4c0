"""The planner and the documents must not disagree about the law."""

import tomllib
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "creuset"


def test_the_planner_and_the_documents_have_the_same_thresholds() -> None:
    law = tomllib.loads((PACKAGE / "dossier" / "law.toml").read_text(encoding="utf-8"))
    facts = tomllib.loads((PACKAGE / "plan" / "facts.toml").read_text(encoding="utf-8"))
    said = {row["value"] for row in law["threshold"] if row["unit"] == "FLOP"}
    assert said == {line["flops"] for line in facts["thresholds"]["line"]}

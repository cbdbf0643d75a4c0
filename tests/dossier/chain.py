"""A tiny chain with everything that a dossier reads: corpus, shards, model with its run, scores, an audit."""

import json
from pathlib import Path

from creuset.cli import main
from creuset.core.artifact import MANIFEST, new_artifact, sha256_file, sha256_json
from creuset.core.record import Recorder
from creuset.testing import tiny_model_folder, tiny_shards

OPERATOR = """
date = "2026-11-20"

[provider]
legal_name = "Société Exemple"

[distribution]
licence = { value = "Apache-2.0", date = 2026-10-01 }

[use]
intended = { en = "Answering in small tests, n ≥ 30." }
restricted = { en = "Medicine.", fr = "La médecine, où l'erreur coûte ≥ 1 vie." }
hardware = ""
"""


def model(path: Path, *, parents: list[Path], flops: float) -> Path:
    run = Recorder.start(stage="pretrain", cores=2)
    run.add(tokens=4096, flops=flops)
    run.read = {"en": 3072, "fr": 1024}
    with new_artifact(path, kind="model", parents=parents, facts={"steps": 3}) as scratch:
        tiny_model_folder(scratch, context=256)
        (scratch / "record.json").write_text(json.dumps(run.finish()))
    return path


def chain(root: Path) -> list[str]:
    """Builds it in `root`; the arguments of `creuset dossier` that name all of it."""
    shards = tiny_shards(root / "shards")
    made = model(root / "base", parents=[shards], flops=1e12)
    assert main(["eval", str(made), "--data", str(shards), "--out", str(root / "scores")]) == 0
    asked = ["--items", "prompt_leak,disclosure", "--limit", "2"]
    assert main(["audit", str(made), *asked, "--out", str(root / "audited")]) == 0
    (root / "operator.toml").write_text(OPERATOR, encoding="utf-8")
    return [str(made), "--evaluation", str(root / "scores"), "--audit", str(root / "audited"),
            "--data", str(root / "shards-corpus")]  # fmt: skip


def seal(folder: Path, **facts: str) -> None:
    """A forger who knows the format: every hash of `folder` is made right again."""
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["facts"] |= facts
    manifest["files"] = {name: sha256_file(folder / name) for name in manifest["files"]}
    manifest["sha256"] = sha256_json({k: v for k, v in manifest.items() if k != "sha256"})
    (folder / MANIFEST).write_text(json.dumps(manifest))

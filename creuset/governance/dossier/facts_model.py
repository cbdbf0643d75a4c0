"""Facts of the model itself: identity, shape, training, compute, energy, and where it stands to the law's lines."""

from typing import Any

from creuset.core.sentences import has, sentence
from creuset.governance.dossier.facts import Cell, Facts
from creuset.governance.dossier.facts_read import stage_name
from creuset.governance.dossier.figure import pointer
from creuset.governance.dossier.records import Record
from creuset.model.store.origin import origin_in

Stage = tuple[Record, str, dict[str, Any]]  # the record of a stage, the pointer to it there, and what it says
SHAPE = {
    "family": "/model_type", "architecture": "/architectures/0", "layers": "/num_hidden_layers",
    "hidden": "/hidden_size", "heads": "/num_attention_heads", "kv_heads": "/num_key_value_heads",
    "head_dim": "/head_dim", "vocabulary": "/vocab_size", "context": "/max_position_embeddings",
    "experts": "/num_experts", "experts_used": "/num_experts_per_tok", "expert_width": "/moe_intermediate_size",
    "width": "/intermediate_size", "dtype": "/torch_dtype", "kv_rank": "/kv_lora_rank", "rope_dim": "/qk_rope_head_dim",
}  # fmt: skip
STAGE = {
    "started": "/started date", "steps": "/steps", "tokens": "/tokens", "flops": "/flops/formula g3",
    "wall": "/time/wall_hours f2", "kwh": "/energy/kwh g3", "failed": "/failed_attempts",
}  # fmt: skip
SETTINGS = {at: "/" + at for at in (
    "name", "context", "tokens_per_step", "precision", "optim/matrices", "optim/matrix_lr", "optim/lr", "seed",
)}  # fmt: skip
TOTALS = (      # over all stages: name, place in a stage, operation, style
    ("flops.total", "/flops/formula", "sum", "g2"), ("flops.magnitude", "/flops/formula", "exponent", "pow10"),
    ("flops.lost", "/flops/lost", "sum", "g2"), ("tokens.trained", "/tokens", "sum", "int"),
    ("time.wall_hours", "/time/wall_hours", "sum", "f2"), ("time.wall_days", "/time/wall_hours", "days", "g2"),
    ("time.band", "/time/wall_hours", "time_band", "text"), ("time.core_hours", "/time/core_hours", "sum", "f2"),
    ("time.gpu_hours", "/time/gpu_hours", "sum", "f2"), ("energy.kwh", "/energy/kwh", "sum", "g2"),
    ("energy.mwh", "/energy/kwh", "mega", "g2"), ("energy.measured", "/energy/measured", "all", "auto"),
    ("time.started", "/started", "first", "date"), ("time.finished", "/finished", "last", "date"),
)  # fmt: skip


def fill(facts: Facts) -> None:
    if (record := facts.shelf.endpoint) is not None:  # of somebody else's API there is a name and an address
        facts.texts["model.name"] = facts.shelf.name
        facts.add("endpoint.url", (record, "/model/url"), style="text")
        _law(facts)
        return
    _identity(facts)
    _shape(facts)
    _law(facts)
    if stages := facts.shelf.stages():
        _training(facts, stages)
    _standing(facts)
    _lineage(facts)


def _identity(facts: Facts) -> None:
    shelf, model = facts.shelf, facts.shelf.model
    facts.texts["model.name"] = model.name
    facts.add("model.sha256", (model, "/sha256"))
    rows: list[tuple[str, Cell]] = [
        (name, facts.cell(f"files.{name}", (model, pointer("files", name))))
        for name in sorted(shelf.body(model)["files"])
    ]  # fmt: skip
    facts.table("files", "file sha256", rows)
    facts.table("weights", "file sha256", [row for row in rows if row[0].endswith((".safetensors", ".gguf"))])


def _shape(facts: Facts) -> None:
    config = facts.shelf.first(role="model", file="config.json")
    if config is None:
        return
    facts.cells("shape", config, "", SHAPE)
    for key, operation, style in (
        ("parameters.total", "parameters_total", "auto"),
        ("parameters.active", "parameters_active", "auto"),
        ("parameters.band", "size_band", "auto"),
        ("shape.kv_bytes", "kv_bytes", "auto"),
        ("flops.inference", "inference_100k", "g2"),
        ("flops.forward", "forward_flops", "g3"),
    ):
        facts.add(key, (config, ""), operation=operation, style=style)
    moe = bool(facts.shelf.body(config).get("num_experts"))
    facts.texts["shape.kind"] = sentence("dossier.kind_moe" if moe else "dossier.kind_dense")
    facts.texts["shape.is_moe" if moe else "shape.is_dense"] = sentence("core.yes")
    if quantization := facts.shelf.first(role="model", file="quantization.json"):
        facts.cells("shape", quantization, "", {"bits": "/experts", "group": "/group"})


def _law(facts: Facts) -> None:
    law = facts.shelf.law
    body = facts.shelf.body(law)
    facts.add("law.as_of", (law, "/as_of"), style="date")
    for number, row in enumerate(body["threshold"]):
        facts.add(f"law.{row['id']}", (law, pointer("threshold", number, "value")), style=row["style"])
    for number, row in enumerate(body["provision"]):
        for what in ("applies", "until", "published"):
            facts.add(f"law.{row['id']}", (law, pointer("provision", number, what)), style="date")


def _training(facts: Facts, stages: list[Stage]) -> None:
    facts.table("stages", "stage begun steps tokens flop hours energy_kwh attempts_that_died", [
        (stage_name(stage), *facts.cells(f"stage.{number}", record, at, STAGE))
        for number, (record, at, stage) in enumerate(stages, 1)
    ])  # fmt: skip

    def places(at: str) -> list[tuple[Record, str]]:
        return [(record, stage_at + at) for record, stage_at, _ in stages]

    for key, at, operation, style in TOTALS:
        facts.add(key, *places(at), operation=operation, style=style)
    last, at, stage = stages[-1]
    facts.add("flops.definition", (last, f"{at}/flops/definition"), style="words")
    _methods(facts, stages)
    facts.cells("code", last, at, {"commit": "/commit/sha", "version": "/versions/creuset"})
    if (stage.get("commit") or {}).get("dirty"):
        facts.texts["code.dirty"] = sentence("dossier.code_dirty")
    facts.table("versions", "software version", [
        (name, facts.cell(f"versions.{name}", (last, f"{at}/versions/{name}"))) for name in stage.get("versions", {})
    ])  # fmt: skip
    _machines(facts, stages)
    for number, row in enumerate(facts.shelf.body(facts.shelf.law)["threshold"]):
        if row["unit"] == "FLOP":
            facts.add(
                f"share.{row['id']}",
                *places("/flops/formula"),
                (facts.shelf.law, pointer("threshold", number, "value")),
                operation="share",
                style="g2",
            )
    if config := facts.shelf.first(role="model", file="config.json"):
        facts.add("flops.six_n_d", (config, ""), *places("/tokens"), operation="six_n_d", style="g2")
    _settings(facts)


def _methods(facts: Facts, stages: list[Stage]) -> None:
    """How each stage measured its energy, and what its training optimised."""
    columns = {"method": "/energy/method words", "boundary": "/energy/boundary words", "measured": "/energy/measured"}
    facts.table("energy_methods", "stage method boundary read_from_counters", [
        (stage_name(stage), *facts.cells(f"energy.{number}", record, at, columns))
        for number, (record, at, stage) in enumerate(stages, 1) if "energy" in stage
    ])  # fmt: skip
    keys = dict.fromkeys(f"dossier.objective_{stage['stage']}" for _, _, stage in stages)
    if known := [sentence(key) for key in keys if has(key)]:
        facts.texts["objectives"] = sentence("dossier.list", items=known)


def _machines(facts: Facts, stages: list[Stage]) -> None:
    machines: list[tuple[Cell, ...]] = []
    for record, at, stage in stages:
        for number, _ in enumerate(stage["hardware"]):
            place, key = f"{at}/hardware/{number}", f"machine.{len(machines) + 1}"
            columns = {"cpu": "/cpu", "cores": "/cores", "memory": "/memory_gib"}
            gpus = (record, f"{place}/gpus")
            machines.append((stage_name(stage), *facts.cells(key, record, place, columns),
                             facts.cell(f"{key}.gpus", gpus, operation="count")))  # fmt: skip
    facts.table("machines", "stage processor cores memory_gib gpus", machines)


def _settings(facts: Facts) -> None:
    """Settings of each run that left a model in the lineage, oldest first."""
    runs = [r for r in reversed(facts.shelf.manifests("model")) if facts.shelf.find(r, "settings", "optim")]
    facts.table(
        "hyper",
        "recipe sequence_tokens tokens_a_step precision optimizer_of_matrices its_rate rate_of_the_rest seed",
        [facts.cells(f"run.{number}", record, "/settings", SETTINGS) for number, record in enumerate(runs, 1)],
    )


def _standing(facts: Facts) -> None:
    """Which side of the law's lines the recorded compute is on."""
    total = facts.value("flops.total")
    if total is None:
        return
    found = sentence("dossier.below_gpai" if total <= facts.value("law.gpai_flop") else "dossier.above_gpai")
    facts.texts["standing"] = found
    if total > facts.value("law.systemic_flop"):
        facts.texts["systemic"] = sentence("dossier.systemic")
        facts.texts["standing"] = sentence("dossier.both_lines", standing=found, systemic=facts.texts["systemic"])


def _lineage(facts: Facts) -> None:
    shelf = facts.shelf
    facts.table("lineage", "artifact name sha256", [
        (record.kind, record.name, facts.cell(f"lineage.{record.sha256[:12]}", (record, "/sha256")))
        for record in shelf.of(file="manifest.json")
    ])  # fmt: skip
    bases = [shelf.body(r) for r in shelf.manifests("model") if not shelf.body(r)["parents"]]
    origins = [origin for origin in map(origin_in, bases) if origin is not None]
    if origins:  # models of others: what is known of where they are from, and as plainly what is not
        told = [one for origin in origins for one in (*origin.known(), *origin.unknown())]
        facts.texts["dependencies"] = sentence("dossier.of_others", told=told)
    elif bases:
        facts.texts["dependencies"] = sentence("dossier.base_without_parents")
    else:
        facts.texts["from_scratch"] = facts.texts["dependencies"] = sentence("dossier.from_scratch")

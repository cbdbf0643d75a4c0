"""Facts of the model itself: identity, shape, training, compute, energy, and where it stands to the law's lines."""

from collections.abc import Iterable
from typing import Any

from creuset.governance.dossier.facts import Facts
from creuset.governance.dossier.figure import pointer
from creuset.governance.dossier.records import Record
from creuset.report.language import Text

STAGES = {
    "pretrain": Text("pre-training", "pré-entraînement"),
    "sft": Text("supervised fine-tuning", "ajustement supervisé"),
    "dpo": Text("preference optimisation", "optimisation par préférences"),
    "grpo": Text("reinforcement learning", "apprentissage par renforcement"),
}
OBJECTIVES = {
    "pretrain": Text("the likelihood of the next token of a text", "la vraisemblance du jeton suivant d'un texte"),
    "sft": Text("the likelihood of the replies of dialogues", "la vraisemblance des réponses de dialogues"),
    "dpo": Text("the margin of preferred replies over others", "l'écart entre réponses préférées et autres"),
    "grpo": Text("the reward of replies that rules check", "la récompense de réponses vérifiées par des règles"),
}


def fill(facts: Facts) -> None:
    _identity(facts)
    _shape(facts)
    _law(facts)
    _training(facts)
    _standing(facts)
    _lineage(facts)


def _identity(facts: Facts) -> None:
    shelf, model = facts.shelf, facts.shelf.model
    facts.say("model.name", model.name, model.name)
    facts.add("model.sha256", (model, "/sha256"))
    names = shelf.body(model)["files"]
    rows = [(name, facts.cell(f"files.{name}", (model, pointer("files", name)))) for name in sorted(names)]
    facts.table("files", (Text("file", "fichier"), Text("sha256", "sha256")), rows)
    weights = [row for row in rows if row[0].endswith((".safetensors", ".gguf"))]
    facts.table("weights", (Text("file", "fichier"), Text("sha256", "sha256")), weights)


def _shape(facts: Facts) -> None:
    config = facts.shelf.first(role="model", file="config.json")
    if config is None:
        return
    body = facts.shelf.body(config)
    for key, at in {
        "family": "model_type", "architecture": "architectures/0", "layers": "num_hidden_layers",
        "hidden": "hidden_size", "heads": "num_attention_heads", "kv_heads": "num_key_value_heads",
        "head_dim": "head_dim", "vocabulary": "vocab_size", "context": "max_position_embeddings",
        "experts": "num_experts", "experts_used": "num_experts_per_tok", "expert_width": "moe_intermediate_size",
        "width": "intermediate_size", "dtype": "torch_dtype",
    }.items():
        facts.add(f"shape.{key}", (config, "/" + at))
    for key, operation in {
        "parameters.total": "parameters_total", "parameters.active": "parameters_active",
        "parameters.band": "size_band", "shape.kv_bytes": "kv_bytes",
    }.items():
        facts.add(key, (config, ""), operation=operation)
    facts.add("flops.inference", (config, ""), operation="inference_100k", style="g2")
    facts.add("flops.forward", (config, ""), operation="forward_flops", style="g3")
    moe = bool(body.get("num_experts"))
    facts.say("shape.kind", "Mixture-of-Experts (MoE) decoder-only Transformer" if moe else
              "dense decoder-only Transformer",
              "Transformer décodeur à mélange d'experts (MoE)" if moe else "Transformer décodeur dense")
    if moe:
        facts.say("shape.is_moe", "yes", "oui")
    quantization = facts.shelf.first(role="model", file="quantization.json")
    if quantization:
        facts.add("shape.bits", (quantization, "/experts"))
        facts.add("shape.group", (quantization, "/group"))


def _law(facts: Facts) -> None:
    law = facts.shelf.first(role="law")
    assert law is not None, "collect puts it there"
    body = facts.shelf.body(law)
    facts.add("law.as_of", (law, "/as_of"), style="date")
    for number, row in enumerate(body["threshold"]):
        facts.add(f"law.{row['id']}", (law, pointer("threshold", number, "value")), style=row["style"])
    for number, row in enumerate(body["provision"]):
        for what in ("applies", "until", "published"):
            facts.add(f"law.{row['id']}", (law, pointer("provision", number, what)), style="date")


def _training(facts: Facts) -> None:
    stages = facts.shelf.stages()
    if not stages:
        return
    rows = []
    for number, (record, at, stage) in enumerate(stages, 1):
        key = f"stage.{number}"
        rows.append((
            STAGES.get(stage["stage"], stage["stage"]),
            facts.cell(f"{key}.started", (record, f"{at}/started"), style="date"),
            facts.cell(f"{key}.steps", (record, f"{at}/steps")),
            facts.cell(f"{key}.tokens", (record, f"{at}/tokens")),
            facts.cell(f"{key}.flops", (record, f"{at}/flops/formula"), style="g3"),
            facts.cell(f"{key}.wall", (record, f"{at}/time/wall_hours"), style="f2"),
            facts.cell(f"{key}.kwh", (record, f"{at}/energy/kwh"), style="g3"),
            facts.cell(f"{key}.failed", (record, f"{at}/failed_attempts")),
        ))
    facts.table("stages", (
        Text("stage", "étape"), Text("begun", "début"), Text("steps", "pas"), Text("tokens", "jetons"),
        Text("FLOP", "FLOP"), Text("hours", "heures"), Text("energy, kWh", "énergie, kWh"),
        Text("attempts that died", "tentatives interrompues"),
    ), rows)

    def places(at: str) -> list[tuple[Record, str]]:
        return [(record, stage_at + at) for record, stage_at, _ in stages]

    flops = places("/flops/formula")
    for key, at, operation, style in (
        ("flops.total", "/flops/formula", "sum", "g2"), ("flops.magnitude", "/flops/formula", "exponent", "pow10"),
        ("flops.lost", "/flops/lost", "sum", "g2"),
        ("tokens.trained", "/tokens", "sum", "int"), ("time.wall_hours", "/time/wall_hours", "sum", "f2"),
        ("time.wall_days", "/time/wall_hours", "days", "g2"), ("time.band", "/time/wall_hours", "time_band", "text"),
        ("time.core_hours", "/time/core_hours", "sum", "f2"), ("time.gpu_hours", "/time/gpu_hours", "sum", "f2"),
        ("energy.kwh", "/energy/kwh", "sum", "g2"), ("energy.mwh", "/energy/kwh", "mega", "g2"),
        ("energy.measured", "/energy/measured", "all", "auto"), ("time.started", "/started", "first", "date"),
        ("time.finished", "/finished", "last", "date"),
    ):
        facts.add(key, *places(at), operation=operation, style=style)
    last, at, stage = stages[-1]
    facts.add("flops.definition", (last, f"{at}/flops/definition"), style="words")
    _methods(facts, stages)
    facts.add("code.commit", (last, f"{at}/commit/sha"))
    facts.add("code.version", (last, f"{at}/versions/creuset"))
    versions = [(name, facts.cell(f"versions.{name}", (last, f"{at}/versions/{name}")))
                for name in stage.get("versions", {})]
    facts.table("versions", (Text("software", "logiciel"), Text("version", "version")), versions)
    machines: list[tuple[Any, ...]] = []
    for record, at, stage in stages:
        for number, _ in enumerate(stage["hardware"]):
            place, key = f"{at}/hardware/{number}", f"machine.{len(machines) + 1}"
            machines.append((
                STAGES.get(stage["stage"], stage["stage"]), facts.cell(f"{key}.cpu", (record, f"{place}/cpu")),
                facts.cell(f"{key}.cores", (record, f"{place}/cores")),
                facts.cell(f"{key}.memory", (record, f"{place}/memory_gib")),
                facts.cell(f"{key}.gpus", (record, f"{place}/gpus"), operation="count"),
            ))
    facts.table("machines", (
        Text("stage", "étape"), Text("processor", "processeur"), Text("cores", "cœurs"),
        Text("memory, GiB", "mémoire, Gio"), Text("GPUs", "GPU"),
    ), machines)
    law, config = facts.shelf.first(role="law"), facts.shelf.first(role="model", file="config.json")
    assert law is not None
    for number, row in enumerate(facts.shelf.body(law)["threshold"]):
        if row["unit"] == "FLOP":
            facts.add(f"share.{row['id']}", *flops, (law, pointer("threshold", number, "value")), operation="share",
                      style="g2")
    if config:
        facts.add("flops.six_n_d", (config, ""), *places("/tokens"), operation="six_n_d", style="g2")
    _hyper(facts)


def _methods(facts: Facts, stages: list[tuple[Record, str, dict[str, Any]]]) -> None:
    """How each stage measured its energy, and what its training optimised."""
    rows = [
        (STAGES.get(stage["stage"], stage["stage"]),
         facts.cell(f"energy.{number}.method", (record, f"{at}/energy/method"), style="words"),
         facts.cell(f"energy.{number}.boundary", (record, f"{at}/energy/boundary"), style="words"),
         facts.cell(f"energy.{number}.measured", (record, f"{at}/energy/measured")))
        for number, (record, at, stage) in enumerate(stages, 1) if "energy" in stage
    ]
    facts.table("energy_methods", (
        Text("stage", "étape"), Text("method", "méthode"), Text("boundary", "périmètre"),
        Text("read from counters", "relevé sur des compteurs"),
    ), rows)
    known = list(dict.fromkeys(OBJECTIVES[s["stage"]] for _, _, s in stages if s["stage"] in OBJECTIVES))
    if known:
        facts.say("objectives", ", ".join(t.en for t in known), ", ".join(t.fr for t in known))


def _hyper(facts: Facts) -> None:
    """Settings of each run that left a model in the lineage, oldest first."""
    runs = [r for r in reversed(facts.shelf.manifests("model"))
            if "optim" in (facts.shelf.body(r).get("settings") or {})]
    rows = [
        tuple(facts.cell(f"run.{number}.{at}", (record, "/settings/" + at)) for at in (
            "name", "context", "tokens_per_step", "precision", "optim/matrices", "optim/matrix_lr", "optim/lr", "seed",
        ))
        for number, record in enumerate(runs, 1)
    ]
    facts.table("hyper", (
        Text("recipe", "recette"), Text("sequence, tokens", "séquence, jetons"),
        Text("tokens a step", "jetons par pas"), Text("precision", "précision"),
        Text("optimizer of matrices", "optimiseur des matrices"), Text("its rate", "son taux"),
        Text("rate of the rest", "taux du reste"), Text("seed", "graine"),
    ), rows)


def _standing(facts: Facts) -> None:
    """Which side of the law's lines the recorded compute is on."""
    total = facts.value("flops.total")
    if total is None:
        return
    if total <= facts.value("law.gpai_flop"):
        facts.say("standing", "Training took less compute than the indicative threshold of a general-purpose AI model: "
                  "below the indicative GPAI threshold; the documents are produced as if it applied.",
                  "L'entraînement a demandé moins de calcul que le seuil indicatif d'un modèle d'IA à usage général : "
                  "en dessous du seuil indicatif ; les documents sont produits comme s'il s'appliquait.")
    else:
        facts.say("standing", "Training took more compute than the indicative threshold of a general-purpose AI model: "
                  "a model able to generate language is presumed to be one.",
                  "L'entraînement a demandé plus de calcul que le seuil indicatif d'un modèle d'IA à usage général : "
                  "un modèle capable de produire du langage est présumé en être un.")
    if total > facts.value("law.systemic_flop"):
        facts.say("systemic", "The presumption of systemic risk applies.",
                  "La présomption de risque systémique s'applique.")
        standing, systemic = facts.texts["standing"], facts.texts["systemic"]
        facts.say("standing", f"{standing.en} {systemic.en}", f"{standing.fr} {systemic.fr}")


def _lineage(facts: Facts) -> None:
    manifests: Iterable[Record] = [r for r in facts.shelf.records if r.file == "manifest.json"]
    rows = [(record.kind, record.name, facts.cell(f"lineage.{record.sha256[:12]}", (record, "/sha256")))
            for record in manifests]
    facts.table("lineage", (Text("artifact", "artefact"), Text("name", "nom"), Text("sha256", "sha256")), rows)
    roots = [r for r in facts.shelf.manifests("model") if not facts.shelf.body(r)["parents"]]
    if roots:
        facts.say("dependencies", "A base model without recorded parents is in the lineage: see the operator's answer.",
                  "La lignée contient un modèle de base sans parents enregistrés : voir la réponse de l'exploitant.")
    else:
        facts.say("from_scratch", "none: trained from scratch; every model in the lineage was made from data that the "
                  "lineage names.",
                  "aucune : entraîné à partir de zéro ; chaque modèle de la lignée a été fait à partir de "
                  "données que la lignée nomme.")
        facts.texts["dependencies"] = facts.texts["from_scratch"]

"""CycloneDX 1.6 ML-BOM: the model with its card, its data and its hashes, as JSON.

cyclonedx-python-lib has no class for a modelCard, so the document is written here; tests validate it against that
library's bundled strict schema.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from creuset.governance.dossier.answers import Answer
from creuset.governance.dossier.facts import Facts
from creuset.governance.dossier.facts_scores import rows_of


def document(facts: Facts, answers: Mapping[str, Answer], day: str, version: str) -> dict[str, Any]:
    digest = str(facts.value("model.sha256"))
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{_uuid(digest + day)}",
        "version": 1,
        "metadata": {
            "timestamp": f"{day}T00:00:00Z",
            "tools": {"components": [{"type": "application", "name": "creuset", "version": version}]},
            "component": _model(facts, answers, digest),
        },
        "components": [*_weights(facts), *_data(facts)],
        "dependencies": [{"ref": "model", "dependsOn": [c["bom-ref"] for c in (*_weights(facts), *_data(facts))]}],
    }


def _uuid(seed: str) -> str:
    """The same for the same model and day: RFC 4122 shape, version 8 (made by the application)."""
    h = hashlib.sha256(seed.encode()).hexdigest()
    return f"{h[:8]}-{h[8:12]}-8{h[13:16]}-a{h[17:20]}-{h[20:32]}"


def _model(facts: Facts, answers: Mapping[str, Answer], digest: str) -> dict[str, Any]:
    made: dict[str, Any] = {
        "type": "machine-learning-model",
        "bom-ref": "model",
        "name": facts.shelf.model.name,
        "version": digest[:12],
        "modelCard": _card(facts, answers),
        "properties": [
            {"name": f"creuset:{key}", "value": str(facts.value(key))}
            for key in (
                "model.sha256",
                "parameters.total",
                "parameters.active",
                "shape.context",
                "tokens.trained",
                "flops.total",
                "time.wall_hours",
                "code.commit",
            )
            if facts.value(key) is not None
        ],
    }
    if name := answers.get("provider.legal_name"):
        made["supplier"] = {"name": name.words["en"].strip()}
    if licence := answers.get("distribution.licence"):
        text = licence.words["en"].strip()
        made["licenses"] = [{"license": {"name": text}}]
    return made


def _card(facts: Facts, answers: Mapping[str, Answer]) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        "approach": {"type": "self-supervised"},
        "task": "text-generation",
        "architectureFamily": "transformer",
        "inputs": [{"format": "text"}],
        "outputs": [{"format": "text"}],
        "datasets": [{"ref": c["bom-ref"]} for c in _data(facts)],
    }
    if (family := facts.value("shape.family")) is not None:
        parameters["modelArchitecture"] = str(family)
    considerations: dict[str, Any] = {}
    if intended := answers.get("use.intended"):
        considerations["useCases"] = [intended.words["en"].strip()]
    if restricted := answers.get("use.restricted"):
        considerations["technicalLimitations"] = [restricted.words["en"].strip()]
    if environment := _environment(facts, answers):
        considerations["environmentalConsiderations"] = environment
    card: dict[str, Any] = {"bom-ref": "model-card", "modelParameters": parameters}
    if metrics := _metrics(facts):
        card["quantitativeAnalysis"] = {"performanceMetrics": metrics}
    if considerations:
        card["considerations"] = considerations
    return card


def _environment(facts: Facts, answers: Mapping[str, Answer]) -> dict[str, Any]:
    """Energy of training. The schema wants a provider of it and a source: without both, which only the operator knows,
    the energy is a property and not a consumption."""
    energy = facts.value("energy.kwh")
    if energy is None:
        return {}
    said: dict[str, Any] = {
        "properties": [
            {"name": "creuset:energy.kwh", "value": str(energy)},
            *(
                {"name": f"creuset:{key}", "value": str(figure.value)}
                for key, figure in facts.figures.items()
                if key.startswith("energy.") and key != "energy.kwh"
            ),
            *(
                [{"name": "creuset:carbon.kg", "value": str(carbon)}]
                if (carbon := facts.value("carbon.kg")) is not None
                else []
            ),
        ]
    }
    provider, source = answers.get("energy.provider"), answers.get("energy.source")
    if provider and source:
        spent: dict[str, Any] = {
            "activity": "training",
            "energyProviders": [
                {
                    "energySource": source.words["en"].strip(),
                    "organization": {"name": provider.words["en"].strip()},
                    "energyProvided": {"value": energy, "unit": "kWh"},
                }
            ],
            "activityEnergyCost": {"value": energy, "unit": "kWh"},
        }
        if (carbon := facts.value("carbon.kg")) is not None:
            spent["co2CostEquivalent"] = {"value": carbon / 1e3, "unit": "tCO2eq"}
        said["energyConsumptions"] = [spent]
    return said


def _metrics(facts: Facts) -> list[dict[str, Any]]:
    """Measured scores of evaluations and audits; strings, as the schema wants them, at full precision."""
    found = []
    for role in ("evaluation", "audit"):
        for row in rows_of(facts, role):
            score = row.body.get("score")
            if row.status != "measured" or score is None:
                continue
            task = str(row.body["task"])
            metric: dict[str, Any] = {"type": row.metric or "score", "value": str(score), "slice": task}
            if row.record.of:
                metric["slice"] += f" (scored: {row.record.of})"
            if interval := row.body.get("interval"):
                metric["confidenceInterval"] = {"lowerBound": str(interval[0]), "upperBound": str(interval[1])}
            found.append(metric)
    return found


def _weights(facts: Facts) -> list[dict[str, Any]]:
    return [
        {
            "type": "file",
            "bom-ref": f"file:{key.removeprefix('files.')}",
            "name": key.removeprefix("files."),
            "hashes": [{"alg": "SHA-256", "content": figure.value}],
        }
        for key, figure in facts.figures.items()
        if key.startswith("files.")
    ]


def _data(facts: Facts) -> list[dict[str, Any]]:
    """Each source of the shards, and the dialogues, as components of type data."""
    found: list[dict[str, Any]] = []
    for key, figure in facts.figures.items():
        if key.startswith("sources.") and key.endswith(".licence"):
            name = key[len("sources.") : -len(".licence")]
            found.append(
                {
                    "type": "data",
                    "bom-ref": f"data:{name}",
                    "name": name,
                    "licenses": [{"license": {"name": str(figure.value) or "not stated"}}],
                    "data": [{"type": "dataset", "name": name}],
                }
            )
    for record in facts.shelf.manifests("dialogues"):
        found.append(
            {
                "type": "data",
                "bom-ref": f"data:{record.sha256}",
                "name": record.name,
                "hashes": [{"alg": "SHA-256", "content": record.sha256}],
                "data": [{"type": "dataset", "name": record.name}],
            }
        )
    return found

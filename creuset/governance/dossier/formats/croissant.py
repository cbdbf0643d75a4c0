"""Croissant 1.1 with its RAI extension: the training data as JSON-LD, from the manifests.

Text of the corpus is not distributed with the model: the files described are those of the shards artifact, by hash.
"""

from collections.abc import Mapping
from typing import Any

from creuset.governance.dossier.answers import Answer
from creuset.governance.dossier.facts import Facts
from creuset.governance.dossier.formats.cards import codes

CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def document(facts: Facts, answers: Mapping[str, Answer], day: str) -> dict[str, Any]:
    shelf = facts.shelf
    name = f"{shelf.model.name}-training-data"
    licences = list(
        dict.fromkeys(
            str(f.value) for key, f in facts.figures.items() if key.startswith("sources.") and key.endswith(".licence")
        )
    )
    body: dict[str, Any] = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": name,
        "conformsTo": ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"],
        "description": f"What the model {shelf.model.name} was trained on, as the manifests of its lineage say.",
        "datePublished": day,
        "version": f"1.0.0+{str(facts.value('model.sha256'))[:12]}",  # semver: the build is the model's hash
        "citeAs": f"{name} (sha256 of the model: {facts.value('model.sha256')}), described {day}",
        "inLanguage": codes(facts) or ["en"],
        "isLiveDataset": False,
        "url": f"urn:sha256:{facts.value('model.sha256')}",
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": f"{record.name}/{file}",
                "name": f"{record.name}/{file}",
                "contentUrl": f"urn:sha256:{digest}",
                "encodingFormat": "application/octet-stream",
                "sha256": digest,
            }
            for record in shelf.manifests("shards")
            for file, digest in shelf.body(record)["files"].items()
            if file.endswith(".bin")
        ],
        "rai:dataCollection": _words(answers, "data.acquisition"),
        "rai:dataBiases": _words(answers, "data.bias"),
        "rai:personalSensitiveInformation": _masked(facts),
        "rai:dataPreprocessingProtocol": _rules(facts),
        "rai:dataUseCases": _words(answers, "use.intended"),
        "rai:dataLimitations": _words(answers, "use.restricted"),
    }
    if licences:
        body["license"] = licences
    if provider := answers.get("provider.legal_name"):
        body["creator"] = {"@type": "sc:Organization", "name": provider.words["en"].strip()}
    return {key: value for key, value in body.items() if value not in (None, [], "")}


def _words(answers: Mapping[str, Answer], key: str) -> str | None:
    return answers[key].words["en"].strip() if key in answers else None


def _masked(facts: Facts) -> list[str]:
    return [
        f"{key.removeprefix('masked.')}: {figure.value} occurrences masked"
        for key, figure in facts.figures.items()
        if key.startswith("masked.") and key != "masked.total"
    ]


def _rules(facts: Facts) -> list[str]:
    return [
        f"{key.removeprefix('reasons.')}: {figure.value} documents dropped"
        for key, figure in facts.figures.items()
        if key.startswith("reasons.")
    ]

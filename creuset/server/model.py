"""What the HTTP process knows of the model it serves, read from the folder without loading a weight."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from creuset.core.artifact import MANIFEST, ancestors, read_manifest, sha256_json
from creuset.core.errors import ArtifactError, ConfigError
from creuset.core.gguf import is_gguf
from creuset.model.config import ModelConfig
from creuset.model.context import with_context
from creuset.model.count import parameters
from creuset.model.formats.hf_config import config_of, to_hf
from creuset.model.formats.pooling import Pooling, pooling_of
from creuset.model.hub import ADAPTER, end_ids, stated_sampling
from creuset.model.store.origin import Origin, file_hash, front_matter, origin_of
from creuset.text.calls.formats import CallFormat
from creuset.text.template import ChatTemplate
from creuset.text.tokenizer import Tokenizer

SAMPLING_DEFAULTS = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")
CARDS = ("card.md", "README.md")


@dataclass(frozen=True, kw_only=True, slots=True)
class ServedModel:
    name: str
    names: tuple[str, ...]  # every name a request may use; `name` is the first
    tokenizer: Tokenizer
    context: int  # tokens, prompt and completion together
    sha256: str  # the identity that the card tells; of a GGUF file; of config.json when the folder is not our artifact
    created: int = 0  # seconds since 1970
    size_bytes: int = 0  # weights on disk
    card: str = ""  # Markdown, without its front matter
    licence: str = ""
    languages: tuple[str, ...] = ()
    parameters: int = 0
    active_parameters: int = 0  # that one token uses
    shape: Mapping[str, Any] = field(default_factory=dict)  # config.json
    defaults: Mapping[str, float] = field(default_factory=dict)  # sampling the model was made for
    stop_ids: tuple[int, ...] = ()
    template: ChatTemplate
    tool_format: str | None = None  # of calls, where somebody knows better than the template
    config: ModelConfig
    parent: str = ""  # the model that this one is with an adapter added
    adapter: str = ""  # the adapter's folder
    adapter_number: int = 0  # its number in the engine of `parent`, which it shares; 0: it has an engine of its own
    pooling: Pooling = field(default_factory=Pooling)  # how it makes a row of a text
    origin: Origin | None = None  # of a pulled model: where it is from, and what is not known of it

    @property
    def calls(self) -> CallFormat:
        """The form in which the model writes tool calls and thoughts."""
        return self.template.calls if self.tool_format is None else self.template.calls_as(self.tool_format)

    @property
    def vocab_size(self) -> int:
        size: int = self.tokenizer.vocab_size
        return size

    @property
    def variables(self) -> frozenset[str]:
        """Of the chat template."""
        return self.template.variables

    @property
    def thinks(self) -> bool:
        """Whether its answers have a thought that can be told from the rest."""
        return self.calls.thinking is not None

    def encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text)

    @property
    def fingerprint(self) -> str:
        return f"fp_{self.sha256[:10]}"


def describe(path: Path, served_names: Sequence[str] = (), *, context: int = 0) -> ServedModel:
    """Read a model: a folder of ours or of Hugging Face's, or a GGUF file. `served_names` replace its own name.

    `context`: tokens, where it shall not be the model's own (model/context.py says what can be had).

    A pulled model has the name it was pulled by, and its licence is the one that was shown when it was
    pulled.
    """
    alone = is_gguf(path)
    if not alone and not (path / "config.json").is_file():
        reason = "it has no config.json" if path.is_dir() else "there is no such folder"
        raise ArtifactError(
            f"`{path}` is not a model: {reason}",
            hint="give a model artifact, a Hugging Face folder, a GGUF file, or a name that `creuset list` shows",
        )
    stated = {} if alone else _json(path / "config.json")
    config = with_context(config_of(path), context)
    shape = stated or to_hf(config)
    counts = parameters(config)
    generation = ({} if alone else _json(path / "generation_config.json")) or stated_sampling(path)
    tokenizer = Tokenizer.load(path)
    origin = origin_of(path)
    folder = path.parent if alone else path
    manifest = read_manifest(folder) if (origin or not alone) and (folder / MANIFEST).is_file() else None
    front, card = (
        front_matter(next(filter(None, (_text(folder / name) for name in CARDS)), ""))
        if manifest or not alone
        else ({}, "")
    )
    name = origin.name if origin else path.stem if alone else path.resolve().name
    names = tuple(served_names) or (name,)
    return ServedModel(
        name=names[0],
        names=names,
        tokenizer=tokenizer,
        context=config.context,
        config=config,
        parameters=counts.total,
        active_parameters=counts.active,
        sha256=_identity(folder) if manifest else file_hash(path) if alone else sha256_json(shape),
        created=int((path if alone else path / "config.json").stat().st_mtime),
        size_bytes=sum(f.stat().st_size for f in ([path] if alone else path.glob("*.safetensors"))),
        card=card,
        licence=str(origin.licence.get("id") or "") if origin else " ".join(front.get("license", ())),
        languages=tuple(origin.facts.get("languages") or ()) if origin else front.get("language", ()),
        shape=shape,
        defaults={k: float(generation[k]) for k in SAMPLING_DEFAULTS if type(generation.get(k)) in (int, float)},
        stop_ids=tuple(sorted(end_ids(path) | tokenizer.end_ids)),
        template=ChatTemplate.load(path, tokenizer),
        origin=origin,
        pooling=pooling_of(path),
    )


def adapted(base: ServedModel, given: str, *, number: int = 0) -> ServedModel:
    """`base` with the adapter of `given`, NAME=FOLDER, as a model of its own. ConfigError, ArtifactError.

    `number`: of the adapter in the engine of `base`, where it is computed beside it.
    """
    name, equals, path = given.partition("=")
    folder = Path(path)
    if not (name and equals and path):
        raise ConfigError(f"--lora {given}: it is NAME=FOLDER")
    if not (folder / ADAPTER).is_file():
        raise ArtifactError(f"`{folder}` is no adapter: it has no {ADAPTER}")
    digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.glob("adapter_*"))]
    own = sha256_json([base.sha256, *digests])
    return replace(
        base,
        name=name,
        names=(name,),
        parent=base.name,
        adapter=str(folder.resolve()),
        sha256=own,
        adapter_number=number,
    )


def with_template(model: ServedModel, path: Path, file: Path) -> ServedModel:
    """The model at `path` with the chat template in `file` instead of its own. ArtifactError for a damaged one."""
    return replace(model, template=ChatTemplate.load(path, model.tokenizer, file=file))


def with_tool_format(model: ServedModel, name: str) -> ServedModel:
    """The model with calls in the form `name`. ConfigError for one that is not known."""
    found = replace(model, tool_format=name)
    assert found.calls.name == name
    return found


def _identity(folder: Path) -> str:
    """The hash by which the card of the artifact `folder` names it.

    A card is written into a copy of the model, which has a manifest, and so a hash, of its own. The card can not
    tell that hash: it tells the hash of the model that it describes, whose other files are the same.
    """
    own, *older = ancestors(folder)
    content = _without_card(own)
    parents = {p["sha256"] for p in own["parents"]}
    described = (
        m for m in older if m["sha256"] in parents and m["kind"] == own["kind"] and _without_card(m) == content
    )
    return str(next(described, own)["sha256"])


def _without_card(manifest: Mapping[str, Any]) -> dict[str, str]:
    return {name: digest for name, digest in manifest["files"].items() if name not in CARDS}


def _json(file: Path) -> dict[str, Any]:
    """The object in `file`; empty when there is no such file."""
    if not file.is_file():
        return {}
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ArtifactError(f"`{file}` is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ArtifactError(f"`{file}` must hold a JSON object")
    return value


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.is_file() else ""

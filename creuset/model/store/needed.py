"""Which files of a repository are needed: nothing else is fetched.

Configuration, tokenizer, chat templates, safetensors (or the one GGUF file that was asked for), licence and card.
Weights that are Python programs (.bin, .pth) are never fetched.
"""

import difflib
import fnmatch
import re
from collections.abc import Sequence

from creuset.core.errors import ArtifactError, ConfigError, DataError
from creuset.model.store.wanted import Wanted

WORDS = ("LICEN[CS]E*", "NOTICE*", "USE_POLICY*", "README.md")
NEEDED = (
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    "added_tokens.json", "vocab.json", "merges.txt", "chat_template.jinja", "chat_template.json",
    "additional_chat_templates/*.jinja",
)  # fmt: skip
WHOLE, INDEX, PARTS = "model.safetensors", "model.safetensors.index.json", "model-*-of-*.safetensors"
PICKLES = (".bin", ".pth", ".pt", ".ckpt")


def needed(names: list[str], wanted: Wanted) -> list[str]:
    """Which files of a repository are fetched: small ones first, licence before all others."""
    names = [name for name in names if inside(name)]
    words = matching(names, WORDS)
    gguf = [name for name in names if name.lower().endswith(".gguf")]
    if wanted.file:
        return words + _gguf(gguf, wanted)
    small = matching(names, NEEDED if "tokenizer.json" in names else (*NEEDED, "tokenizer.model"))
    if WHOLE in names and "config.json" in names:
        return [*words, *small, WHOLE]
    parts = matching(names, (PARTS,))
    if INDEX in names and parts and "config.json" in names:
        return [*words, *small, INDEX, *parts]
    if len(gguf) == 1:
        return words + gguf
    if gguf:
        near = ", ".join(gguf[:8]) + (", ..." if len(gguf) > 8 else "")
        raise ConfigError(
            f"`{wanted.repository}` has {len(gguf)} GGUF files: say which",
            hint=f"`creuset pull {wanted.repository}:FILE`, with one of {near}",
        )
    if any(name.endswith(PICKLES) for name in names):
        raise DataError(
            f"`{wanted.repository}` has only weights that are Python programs (.bin or .pth), which are not loaded",
            hint="ask for a revision or a repository with safetensors or GGUF files",
        )
    missing = "config.json" if "config.json" not in names else WHOLE
    raise DataError(f"`{wanted.repository}` is not a language model that can be fetched: it has no {missing}")


def inside(name: str) -> bool:
    """A published name that stays within the folder it is written to."""
    return not name.startswith(("/", ".")) and "\\" not in name and ".." not in name.split("/")


def matching(names: list[str], patterns: Sequence[str]) -> list[str]:
    """The names of each pattern; a `*` stays within one folder."""
    return [
        name
        for pattern in patterns
        for name in names
        if name.count("/") == pattern.count("/") and fnmatch.fnmatchcase(name, pattern)
    ]


def _gguf(files: list[str], wanted: Wanted) -> list[str]:
    """The file that was named, or the only one with the named part in its name; all parts of one that was cut."""
    asked = wanted.file
    found = [asked] if asked in files else [name for name in files if asked.lower() in name.lower()]
    whole = {re.sub(r"-\d{5}-of-\d{5}(?=\.gguf$)", "", name, flags=re.IGNORECASE) for name in found}
    if len(whole) == 1 and (len(found) == 1 or asked not in files):
        return sorted(found)
    if len(whole) > 1:
        raise ConfigError(
            f"`{asked}` stands in the name of {len(whole)} files of `{wanted.repository}`",
            hint=f"name one: {', '.join(found[:8])}",
        )
    near = difflib.get_close_matches(asked, files, n=1, cutoff=0.4) or files[:1]
    raise ArtifactError(
        f"`{wanted.repository}` has no GGUF file `{asked}`", hint=f"did you mean `{near[0]}`?" if near else ""
    )

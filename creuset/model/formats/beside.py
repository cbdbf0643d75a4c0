"""What stands beside the weights in a model's folder and goes with them: tokenizer and chat templates."""

import shutil
from pathlib import Path

_FILES = (
    "tokenizer*.json", "tokenizer.model", "vocab.json", "merges.txt", "special_tokens_map.json", "added_tokens.json",
    "chat_template.json", "chat_template.jinja", "additional_chat_templates/*.jinja",
)  # fmt: skip


def copy_tokenizer(source: Path, folder: Path) -> None:
    """Copy the files of the tokenizer and of the chat templates of a tokenizer's or model's folder."""
    for pattern in _FILES:
        for file in sorted(source.glob(pattern)):
            target = folder / file.relative_to(source)
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(file, target)

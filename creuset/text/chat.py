"""Messages <-> token ids: the only place a template lives."""

from pathlib import Path


def chat_template() -> str:
    """The Jinja template that is saved with every tokenizer."""
    return (Path(__file__).parent / "chat_template.jinja").read_text(encoding="utf-8")

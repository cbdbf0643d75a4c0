"""The model card: form 12 of the dossier, filled from artifacts only, and conversations with the model.

Reading order: `facts_of` (what is known, and the checks that it belongs together), `write` (the card), `package` (model
and card as one artifact). All its words but those about the card itself are the form's, in
`dossier/forms/12-model-card.toml`; what only an operator can say is left out here, and asked by `creuset dossier`.
"""

import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from creuset.core.artifact import LINEAGE, MANIFEST, new_artifact, read_manifest
from creuset.core.sentences import sentence
from creuset.governance.dossier.answers import Answer
from creuset.governance.dossier.build import LAW
from creuset.governance.dossier.facts import Facts, gather
from creuset.governance.dossier.form import Filler, forms
from creuset.governance.dossier.formats.cards import front_matter
from creuset.governance.dossier.page import Page
from creuset.governance.dossier.records import Shelf, collect
from creuset.report import markdown
from creuset.report.blocks import Para, plain
from creuset.report.language import language_name
from creuset.types.messages import Conversation

FORM = "model-card"


@contextmanager
def facts_of(path: Path, evaluations: Sequence[Path]) -> Iterator[Facts]:
    """What the model, its lineage, its record and its evaluations say; each must be whole and belong to this model."""
    with tempfile.TemporaryDirectory(prefix="creuset-card-") as kept:
        collect(Path(kept), path, evaluations=evaluations, audits=(), data=(), operator=None, law=LAW)
        yield gather(Shelf(Path(kept)))


def write(facts: Facts, talks: Sequence[Conversation] = (), *, licence: str = "apache-2.0") -> str:
    """The card, with the conversations that the model was asked for, as Markdown with front matter."""
    said = Answer(date="", at={}, words={"en": licence})
    filler = Filler(facts, {"distribution.licence": said}, "en", public=True, asks=False)
    form = forms()[FORM]
    intro, _ = filler.paragraphs(form.intro.of("en"))
    about = sentence("dossier.card_about", sha=str(facts.value("model.sha256")))
    head = (*(b for b in intro if isinstance(b, Para)), Para(plain(about)))
    page = Page(FORM, facts.shelf.name, "en", head, filler.sections(form), (), public=True)
    text = markdown.render(page.title, page.blocks(), "en", front_matter=front_matter("model", filler))
    return text + (f"\n## Conversations\n\n{_conversations(talks)}\n" if talks else "")


def _conversations(talks: Sequence[Conversation]) -> str:
    """Each whole, in a frame that nothing in it can end."""
    ended = sum(talk.stopped for talk in talks)
    parts = [str(sentence("dossier.card_talks", n=len(talks), tokens=talks[0].max_tokens, ended=ended))]
    for number, talk in enumerate(talks, 1):
        lines = []
        for asked, answered, end in talk.turns:
            lines += [f"user: {asked}", f"assistant: {answered}" + ("" if end == "stop" else f"  [{end}]")]
        text = "\n".join(lines)
        fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
        parts.append(f"{number}. {language_name(talk.language)}\n\n{fence}text\n{text}\n{fence}")
    return "\n\n".join(parts)


def package(path: Path, evaluations: Sequence[Path], card: str, out: Path) -> None:
    """Publish the model's files with its card as a new artifact, whose parents are the model and its evaluations."""
    manifest = read_manifest(path)
    with new_artifact(
        out, kind="model", settings=manifest.get("settings"), parents=[path, *evaluations], facts=manifest.get("facts")
    ) as scratch:
        ignore = shutil.ignore_patterns(MANIFEST, LINEAGE, "card.md", "README.md")
        shutil.copytree(path, scratch, ignore=ignore, dirs_exist_ok=True)
        (scratch / "card.md").write_text(card, encoding="utf-8")

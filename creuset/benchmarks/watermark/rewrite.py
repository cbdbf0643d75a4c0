"""Attacks on the watermark that need a model: paraphrase, and translation there and back. The model is the user's.

`creuset audit ... --paraphraser URL` names it, any endpoint that the audit can reach. What it answers is taken as it
is: how well it paraphrases is not judged, so beside each rate stands how much of the words it kept.
"""

from collections.abc import Sequence

from creuset.core.sentences import sentence
from creuset.evals.extract import without_thinking
from creuset.evals.model import Failure, GenerateRequest, ModelClient, Reply

ATTACKS = ("paraphrase", "translation")
NONE_GIVEN = sentence("benchmarks.no_paraphraser")
_PARAPHRASE = "Rewrite the following text in other words. Keep its meaning. Answer with the new text only.\n\n{text}"
_TRANSLATE = "Translate the following text into {language}. Answer with the translation only.\n\n{text}"
PIVOT = "German"  # neither of the languages that texts here are in
TOKENS = 1024


async def rewrite(by: ModelClient, texts: Sequence[str], languages: Sequence[str]) -> dict[str, list[str | None]]:
    """Each attack's texts, in order; None where a call failed or came back empty. `languages`: "English" ..."""
    there = await _ask(by, [_TRANSLATE.format(language=PIVOT, text=text) for text in texts])
    arrived = [i for i, text in enumerate(there) if text is not None]
    back = await _ask(by, [_TRANSLATE.format(language=languages[i], text=there[i]) for i in arrived])
    home = dict(zip(arrived, back, strict=True))
    return {
        "paraphrase": await _ask(by, [_PARAPHRASE.format(text=text) for text in texts]),
        "translation": [home.get(i) for i in range(len(texts))],
    }


async def _ask(by: ModelClient, prompts: Sequence[str]) -> list[str | None]:
    asks = [GenerateRequest(messages=({"role": "user", "content": prompt},), max_tokens=TOKENS) for prompt in prompts]
    return [_text(reply) for reply in await by.generate(asks)] if asks else []


def _text(reply: Reply | Failure) -> str | None:
    return None if isinstance(reply, Failure) else without_thinking(reply.text).strip() or None


def kept(before: Sequence[str], after: Sequence[str | None]) -> float:
    """Mean share of a text's different words that its rewriting still has."""
    shares = []
    for old, new in zip(before, after, strict=True):
        words = {w.casefold() for w in old.split()}
        if new is not None and words:
            shares.append(len(words & {w.casefold() for w in new.split()}) / len(words))
    return sum(shares) / len(shares) if shares else 0.0

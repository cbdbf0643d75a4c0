"""Dialogues that others wrote, chosen and cleaned.

Taken, each with a cap: rasbt's simple instructions and the self-instruct seed tasks (Apache-2.0,
hand-written or simple), OpenAssistant's 100 trees where the answers are short (Apache-2.0),
ChatterBot's technical help and trivia (BSD-3-Clause), Synthetic-Persona-Chat with the persona as system
prompt (CC-BY-4.0), and small samples of schema-guided dialogues (CC-BY-SA-4.0), self-dialogues
(BSD-3-Clause) and Topical-Chat (CDLA-Sharing-1.0), each under a system prompt that asks for that manner.

Left out, with the reason: see `EXCLUDED`.
Teaches: variety that rules do not have; to play a part only when the system prompt gives one.
"""

import re
from collections.abc import Callable, Iterator
from functools import partial
from random import Random
from typing import Any

from mini_instructions.base import Made, Provenance, Refused, Rule
from mini_instructions.prose import FOREIGN, UNFIT
from mini_instructions.shelf import Shelf

EXCLUDED = {
    "instruct/en_gpteacher_codegen": "written by GPT-4, whose terms bind its author",
    "instruct/en_gpteacher_roleplay": "written by GPT-4, whose terms bind its author",
    "instruct/en_gpteacher_toolformer": "written by GPT-4, whose terms bind its author",
    "instruct/fr_oasst1_top1": "carried by a repository that declares CC-BY-NC",
    "instruct/en_t0_tasks_clean_licences": "long texts with clipped answers, mixed licences, unfit subjects in some",
    "instruct/en_dialogue_taskmaster4_tools": "tool calls of one coffee shop: too long, too narrow",
    "instruct/zh_chatterbot": "Chinese: the tokenizer and the model are made for English and French",
    "instruct/fr_chatterbot": "89 lines without accents, several answers written as turns",
    "reasoning/en_aqua_dev": "a development split, kept for scoring",
    "reasoning/en_commonsenseqa_train": "letters as answers teach a model of this size to guess; kept for scoring",
}
RUDE = re.compile(
    r"\b(?:stupid|idiot|hell|damn|crap|sucks?|kill\w*|sex\w*|drunk|beer|whiskey|weed|drugs?|racist|gay|boob\w*|ass|dumb|hate)\b",
    re.IGNORECASE,
)
HUMAN = re.compile(r"\b(?:Open ?Assistant|LAION|ChatGPT|GPT|OpenAI|as an AI|language model)\b", re.IGNORECASE)
Talk = list[tuple[str, str]]


def clean(text: str) -> str:
    text = text.replace("“", '"').replace("”", '"').replace("’", "'").replace("‘", "'").replace("\u00a0", " ")
    lines = [re.sub(r"[ \t]+", " ", line).strip() for line in text.split("\n")]
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
    return re.sub(r" +([,.?!])(?= |$)", r"\1", text)


def talk_of(document: dict[str, Any]) -> Talk | None:
    """User and assistant in turn, the user first, ending with the assistant; None when it is something else."""
    messages = [
        (str(m.get("role")), clean(str(m.get("content", ""))))
        for m in document.get("messages", [])
        if isinstance(m, dict)
    ]
    while messages and messages[-1][0] != "assistant":
        messages.pop()
    if not messages or any(
        role != ("assistant" if i % 2 else "user") or not text for i, (role, text) in enumerate(messages)
    ):
        return None
    return messages


def wrong_with(talk: Talk, *, answer_words: int, question_words: int) -> str | None:
    for role, text in talk:
        if FOREIGN.search(text) or re.search(r"https?:|```|<[a-z/]|\{|\}", text):
            return "markup, code or another script"
        if len(text.split()) > (answer_words if role == "assistant" else question_words):
            return "too long"
        if UNFIT.search(text) or RUDE.search(text):
            return "unfit subject"
        if HUMAN.search(text):
            return "speaks of being another assistant"
    return None


def sentence_case(text: str) -> str:
    """A capital at the start of each sentence, `i` as `I`, and a mark at the end."""
    text = re.sub(r"\bi\b", "I", text)
    text = re.sub(r"(^|[.!?] )([a-z])", lambda m: m.group(1) + m.group(2).upper(), text)
    return text if re.search(r"[.!?\"')]$", text) else text + "."


def instructions(
    file: str, name: str, licence: str, words: int, shelf: Shelf, rng: Random, count: int
) -> Iterator[Made]:
    """Single instructions as they are, when the answer is short and whole."""
    for number, document in enumerate(shelf.read("instruct", file)):
        talk = talk_of(document)
        if talk is None:
            yield Refused("not user and assistant in turn")
        elif wrong := wrong_with(talk, answer_words=words, question_words=120):
            yield Refused(wrong)
        else:
            texts = [text for _, text in talk]
            if len(texts[1].split()) > 3 and not re.search(r"[.!?:;\"')0-9\]]$", texts[1]) and "\n" not in texts[1]:
                texts[1] += "."
            about = Provenance(
                f"ready_{file}", name, licence, f"{document.get('source', '')}#{number}", group=f"{file}:{number}"
            )
            yield about.talk(texts)


def chatterbot(shelf: Shelf, rng: Random, count: int) -> Iterator[Made]:
    """Technical help and trivia only: elsewhere alternatives are written as turns, or claim a human life."""
    seen: set[str] = set()
    for number, document in enumerate(shelf.read("instruct", "en_chatterbot")):
        topic = str(document.get("source", "")).rpartition("/")[2].removesuffix(".yml")
        talk = talk_of(document)
        if topic not in ("tech_support", "trivia") or talk is None or len(talk) != 2:
            yield Refused("alternatives written as turns, or a human's life")
            continue
        (_, question), (_, answer) = talk
        if question.lower() in seen or len(question.split()) < 3:
            yield Refused("asked before")
        elif wrong := wrong_with(talk, answer_words=60, question_words=40):
            yield Refused(wrong)
        else:
            seen.add(question.lower())
            about = Provenance(
                "ready_chatterbot",
                "ChatterBot corpus",
                "BSD-3-Clause",
                f"{document.get('source', '')}#{number}",
                group=f"chatterbot:{number}",
            )
            yield about.ask(question, sentence_case(answer) if len(answer.split()) > 3 else answer)


def persona(shelf: Shelf, rng: Random, count: int) -> Iterator[Made]:
    """Small talk in which the assistant plays the person of the system prompt."""
    for number, document in enumerate(shelf.read("instruct", "en_dialogue_synthetic_persona")):
        talk = talk_of(document)
        traits = [clean(str(t)) for t in document.get("assistant_persona", [])][:5]
        if talk is None or not traits:
            yield Refused("not user and assistant in turn")
            continue
        talk = talk[: rng.choice((6, 8, 8, 10))]
        if re.search(r"user [12]\b|\[", " ".join(t for _, t in talk), re.IGNORECASE):
            yield Refused("names left open")
        elif wrong := wrong_with([*talk, ("user", " ".join(traits))], answer_words=45, question_words=60):
            yield Refused(wrong)
        else:
            system = rng.choice(
                ("You play a person. {t}", "Answer as this person: {t}", "Play this role. {t}")
            ).replace("{t}", " ".join(traits))
            about = Provenance(
                "ready_persona",
                "Synthetic-Persona-Chat",
                "CC-BY-4.0",
                f"{document.get('source', '')}#{number}",
                group=f"persona:{number}",
            )
            yield about.talk([text for _, text in talk], system=system)


def peers(
    file: str, name: str, licence: str, system: Callable[[dict[str, Any]], str], shelf: Shelf, rng: Random, count: int
) -> Iterator[Made]:
    """A random few of a large set of chit-chat or booking dialogues, the first turns only, under a system prompt."""
    chosen = 0
    for number, document in enumerate(shelf.read("instruct", file)):
        if rng.random() > 0.12:
            continue
        talk = talk_of(document)
        if talk is None:
            yield Refused("not user and assistant in turn")
            continue
        talk = talk[: rng.choice((6, 8))]
        if wrong := wrong_with(talk, answer_words=40, question_words=40):
            yield Refused(wrong)
        elif len(talk) < 4 or len(set(text.lower() for _, text in talk)) < len(talk):
            yield Refused("too few or repeated turns")
        else:
            chosen += 1
            about = Provenance(
                f"ready_{file}", name, licence, f"{document.get('source', '')}#{number}", group=f"{file}:{number}"
            )
            yield about.talk(
                [text if role == "user" else sentence_case(text) for role, text in talk], system=system(document)
            )


def _topic(document: dict[str, Any]) -> str:
    topic = str(document.get("topic") or "").replace("_", " ").strip()
    return (
        f"You are a friend who likes to chat about {topic}. Be casual and brief."
        if topic
        else "You are a friend who likes to chat. Be casual and brief."
    )


def _booking(document: dict[str, Any]) -> str:
    services = sorted({re.sub(r"_\d+$", "", s).lower() for s in map(str, document.get("services", []))})
    names = {"ridesharing": "rides", "rentalcars": "rental cars", "media": "movies", "homes": "homes"}
    return f"You help people to find and book: {', '.join(names.get(s, s) for s in services)}. Ask for what is missing."


RULES = (
    Rule(
        "ready_rasbt",
        "short simple instructions",
        1_100,
        partial(instructions, "en_rasbt_simple_instructions", "rasbt/LLMs-from-scratch", "Apache-2.0", 60),
        "rasbt/LLMs-from-scratch",
        "Apache-2.0",
    ),
    Rule(
        "ready_seed",
        "hand-written tasks",
        120,
        partial(instructions, "en_self_instruct_seed", "self-instruct seed tasks", "Apache-2.0", 80),
        "self-instruct seed tasks",
        "Apache-2.0",
    ),
    Rule(
        "ready_oasst",
        "open questions with short answers",
        60,
        partial(instructions, "en_oasst_100_trees", "OpenAssistant, 100 trees", "Apache-2.0", 90),
        "OpenAssistant, 100 trees",
        "Apache-2.0",
    ),
    Rule("ready_chatterbot", "technical help and trivia", 400, chatterbot, "ChatterBot corpus", "BSD-3-Clause"),
    Rule(
        "ready_persona",
        "to play the person of the system prompt",
        600,
        persona,
        "Synthetic-Persona-Chat",
        "CC-BY-4.0",
        may_open=False,
    ),
    Rule(
        "ready_self_dialogue",
        "casual chat when the system prompt asks for it",
        300,
        partial(peers, "en_dialogue_self_dialogue", "self_dialogue_corpus", "BSD-3-Clause", _topic),
        "self_dialogue_corpus",
        "BSD-3-Clause",
        may_open=False,
    ),
    Rule(
        "ready_topical",
        "chat about facts when the system prompt asks for it",
        100,
        partial(peers, "en_dialogue_topical_chat", "Topical-Chat", "CDLA-Sharing-1.0", _topic),
        "Topical-Chat",
        "CDLA-Sharing-1.0",
        may_open=False,
    ),
    Rule(
        "ready_sgd",
        "booking when the system prompt asks for it",
        400,
        partial(peers, "en_dialogue_sgd", "Schema-Guided Dialogue", "CC-BY-SA-4.0", _booking),
        "Schema-Guided Dialogue",
        "CC-BY-SA-4.0",
        may_open=False,
    ),
)

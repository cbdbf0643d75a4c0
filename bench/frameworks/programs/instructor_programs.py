"""instructor: an object of a class out of a sentence."""

import instructor
from common import Person, Program, base_url, model, run
from openai import OpenAI


def extract(mode: instructor.Mode) -> Person:
    client = instructor.from_openai(OpenAI(base_url=base_url(), api_key="none"), mode=mode)
    return client.chat.completions.create(
        model=model(),
        response_model=Person,
        max_retries=0,
        messages=[{"role": "user", "content": "Ada Lovelace was 36 years old."}],
    )


def streamed() -> Person:
    client = instructor.from_openai(OpenAI(base_url=base_url(), api_key="none"), mode=instructor.Mode.TOOLS)
    parts = client.chat.completions.create_partial(
        model=model(), response_model=Person, messages=[{"role": "user", "content": "Ada Lovelace was 36 years old."}]
    )
    return Person.model_validate(list(parts)[-1].model_dump())


run(
    Program("an object, by a tool", lambda: extract(instructor.Mode.TOOLS)),
    Program("an object, by a JSON schema", lambda: extract(instructor.Mode.JSON_SCHEMA)),
    Program("an object while it is written", streamed),
)

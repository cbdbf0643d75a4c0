"""An endpoint of OpenAI's dialect as a subject: chat, plain completions, likelihoods where it tells them. No torch.

Likelihoods are asked as lm-evaluation-harness asks them: /v1/completions with `echo`, `logprobs: 1`, `max_tokens: 1`,
the last entry dropped. Where the server offers /tokenize (ours, vLLM) the prompt is token ids, cut as clients/local.py
cuts them; elsewhere it is text, and the boundary is found in `text_offset` (echo.py). What the endpoint can do is
tried once, by `open_endpoint`; `why_not` has the reason for what it cannot.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from creuset.core.errors import ConfigError, EngineError
from creuset.core.sentences import sentence
from creuset.evals.clients import echo
from creuset.evals.clients.echo import Told, boundary
from creuset.evals.clients.http import HttpClient, HttpReply, Json
from creuset.evals.clients.replies import Replies
from creuset.evals.clients.said import choice_of, has_text, join_stream
from creuset.evals.model import (
    Ability,
    Done,
    Failure,
    GenerateRequest,
    Likelihood,
    LoglikelihoodRequest,
    NotTestable,
    Reply,
    RollingRequest,
    each,
)

MAX_STOPS_CHAT = 4  # OpenAI's limit; further ones are applied here, to the reply
EOT = "<|endoftext|>"
BUSY = ("http_429", "http_503", "timeout", "connection")  # after all retries: not ready, which is not "cannot"


class OpenAIClient(Replies):
    def __init__(self, client: HttpClient, model: str, *, prefix: bool | None = None, context: int = 0) -> None:
        """`prefix`: <|endoftext|> before a likelihood's context; None: where the tokenizer has it (as locally).

        `context`: tokens of a document read at once; 0: as many as the endpoint takes, where it says so.
        """
        super().__init__(client, model)
        self._asked_context = context
        self._reads_eot = False
        self._prefix_asked = prefix
        self._prefix: list[int] = []
        self._eot: int | None = None
        self._begin: int | None = None
        self._by_ids = False
        self._window = 0  # tokens; 0: not known

    @property
    def context(self) -> int:
        """Of documents read through; 0: not known."""
        return self._asked_context or max(0, self._window - 2)

    def identity(self) -> Json:
        found = {"name": self.model, "kind": "endpoint", "url": self.client.url, "dialect": "openai"}
        return found | {"prefix": self._prefix_asked} | self.client.calling.told()

    async def generate(self, asks: Sequence[GenerateRequest], done: Done | None = None) -> list[Reply | Failure]:
        for ability in {"chat" if ask.messages else "completion" for ask in asks} - self.abilities:
            raise NotTestable(self.why_not.get(ability, sentence("evals.endpoint_has_no", ability=ability)))
        return await each(asks, self._generate, done)

    async def loglikelihood(
        self, pairs: Sequence[LoglikelihoodRequest], done: Done | None = None
    ) -> list[Likelihood | Failure]:
        if "loglikelihood" not in self.abilities:
            raise NotTestable(self.why_not.get("loglikelihood", sentence("evals.no_loglikelihood")))
        return await each(pairs, self._likelihood, done)

    async def _generate(self, asked: GenerateRequest) -> Reply | Failure:
        ask = self.wanted(asked)
        body: Json = {"model": self.model, "temperature": ask.temperature, "top_p": ask.top_p}
        body |= {"max_tokens": ask.max_tokens}
        stops = list(ask.stop[:MAX_STOPS_CHAT])
        body |= {"stop": stops} if stops else {}
        body |= {"seed": ask.seed} if ask.seed is not None else {}
        chat = bool(ask.messages)
        body |= {"messages": list(ask.messages)} if chat else {"prompt": ask.prompt}
        body |= {"tools": list(ask.tools)} if ask.tools else {}
        if self.client.calling.stream and not ask.tools:  # calls come in pieces there, for nothing here
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        body |= dict(self.client.calling.extra_body)
        path = "/chat/completions" if chat else "/completions"
        answer = await self._send(path, body)
        if isinstance(answer, Failure) and answer.reason == "context_length" and (room := await self._room(ask)) > 0:
            answer = await self._send(path, body | {"max_tokens": room})  # a short answer, as with a folder
        if isinstance(answer, Failure):
            return answer
        try:
            said, finish = choice_of(answer.body, chat=chat)
            calls = said.tool_calls()
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            return Failure(reason="broken_json", detail=f"a reply without text: {error!r}", attempts=answer.attempts)
        usage = answer.body.get("usage") or {}
        return self.reply(
            ask,
            answer,
            text=said.text,
            finish=finish,
            stops_sent=0 if "stop" in self.adapted.left_out else len(stops),
            usage=(usage.get("prompt_tokens"), usage.get("completion_tokens")),
            reported=str(answer.body.get("model") or ""),
            reasoning=said.reasoning,
            calls=calls,
        )

    async def _send(self, path: str, body: Json) -> HttpReply | Failure:
        """The reply, streamed or not; without what the endpoint refuses."""
        return await self.adapted.send(
            body, lambda sent: self.client.post(path, sent, join=join_stream, has_text=has_text)
        )

    async def _room(self, ask: GenerateRequest) -> int:
        """Tokens that a prompt leaves for the answer, where the server counts them and fewer than asked; else 0."""
        if not self._by_ids:
            return 0
        what: Json = {"messages": list(ask.messages)} if ask.messages else {"prompt": ask.prompt}
        found = await self.client.post("//tokenize", {"model": self.model, **what})
        if isinstance(found, Failure):
            return 0
        room = int(found.body.get("max_model_len") or 0) - int(found.body.get("count") or 0)
        return room if room < ask.max_tokens else 0

    async def _likelihood(self, pair: LoglikelihoodRequest) -> Likelihood | Failure:
        cut = False
        prompt: str | list[int] = pair.context + pair.continuation
        first = 0
        if self._by_ids:
            before, whole = await asyncio.gather(self._ids(pair.context), self._ids(pair.context + pair.continuation))
            if isinstance(before, Failure) or isinstance(whole, Failure):
                return before if isinstance(before, Failure) else whole  # type: ignore[return-value]
            start = self._prefix or ([self._begin] if not pair.context and self._begin is not None else [])
            ids = [*start, *whole]
            if len(ids) < 2:
                return Likelihood(total=0.0, greedy=True, tokens=0, prompt_tokens=len(ids))
            first = max(1, min(len(start) + len(before), len(ids) - 1))
            if self._window and (over := len(ids) - (self._window - 1)) > 0:  # one token is generated
                ids, first, cut = ids[over:], max(1, first - over), True
            prompt = ids
        elif not prompt:
            return Likelihood(total=0.0, greedy=True, tokens=0)
        told = await self._echo(prompt)
        if isinstance(told, Failure):
            return told
        try:
            if self._by_ids:
                last = len(prompt)
            else:
                first, last = boundary(told.offsets, pair, told.usage)
            scored = [v for v in told.values[first:last] if v is not None]
            if len(told.values) < last or len(scored) < last - first or not scored:
                raise ValueError(f"{len(scored)} log-probabilities, of tokens {first} to {last} were wanted")
            greedy = all(
                v >= max(top.values()) - 1e-9  # type: ignore[union-attr]
                for v, top in zip(scored, told.tops[first:last], strict=True)
            )
        except (IndexError, TypeError, ValueError, AttributeError) as error:
            return Failure(reason="no_logprobs", detail=f"{error!r}", attempts=told.attempts)
        return Likelihood(
            total=sum(scored),
            greedy=greedy,
            tokens=len(scored),
            token_logprobs=tuple(scored),
            cut=cut,
            attempts=told.attempts,
            prompt_tokens=told.prompt_tokens or last,
            warnings=told.warnings,
        )

    async def _echo(self, prompt: str | list[int]) -> Told | Failure:
        told = await echo.ask(self.client, self.model, prompt)
        if isinstance(told, Failure):
            return told
        warnings = self.doubts(told.model)
        if told.prompt_tokens is None:
            warnings.append("usage_missing: the reply does not say what it used")
        self.client.pay(told.prompt_tokens or len(told.values) - 1, 1)
        return replace(told, warnings=tuple(warnings))

    async def loglikelihood_rolling(
        self, texts: Sequence[RollingRequest], done: Done | None = None
    ) -> list[Likelihood | Failure]:
        """Raises ConfigError where the context that was asked for is more than the endpoint reads."""
        if "loglikelihood" not in self.abilities:
            raise NotTestable(self.why_not.get("loglikelihood", sentence("evals.no_loglikelihood")))
        most = self._window - 2  # one token is read but predicts nothing, one is generated
        if self._window and self.context > most:
            raise ConfigError(
                f"`{self.client.url}` reads {most} tokens at once, {self.context} are asked for",
                hint="give a smaller --context",
            )
        return await each(texts, self._through, done)

    async def _through(self, whole: RollingRequest) -> Likelihood | Failure:
        if self._by_ids:
            ids = await self._ids(whole.text)
            if isinstance(ids, Failure):
                return ids
            return await echo.by_ids(self._echo, ids, whole, eot=self._eot, context=self.context)
        return await echo.by_text(self._echo, whole, eot=EOT if self._reads_eot else "", context=self.context)

    async def _ids(self, text: str) -> list[int] | Failure:
        if not text:
            return []
        found = await self.client.post("//tokenize", {"model": self.model, "prompt": text, "add_special_tokens": False})
        if isinstance(found, Failure):
            return found
        tokens = found.body.get("tokens")
        if not isinstance(tokens, list) or not all(isinstance(t, int) for t in tokens):
            return Failure(reason="broken_json", detail="/tokenize gave no token ids", attempts=found.attempts)
        return tokens

    async def probe(self) -> None:
        """Try what the endpoint can do. EngineError where it does nothing, ConfigError where it lacks a name."""
        await self._name()
        message = [{"role": "user", "content": "Hello"}]
        hello: Json = {"model": self.model, "messages": message, "max_tokens": 1} | dict(self.client.calling.extra_body)
        chat = await self._send("/chat/completions", hello)
        if isinstance(chat, Failure) and chat.reason == "refused_400" and "max_" in chat.detail:
            chat = await self._send("/chat/completions", hello | {"max_tokens": 16})  # one is too few for some
        body = {"model": self.model, "prompt": "Hello world", "max_tokens": 1, "temperature": 0}
        plain = await self.client.post("/completions", {**body, "echo": True, "logprobs": 1})
        scores = isinstance(plain, HttpReply) and echo.has_scores(plain.body)
        if isinstance(plain, Failure) and plain.reason.startswith("refused_"):
            plain = await self.client.post("/completions", body)
        if isinstance(chat, Failure) and isinstance(plain, Failure):
            ready = chat.reason not in ("http_503", "http_429")
            raise EngineError(
                f"`{self.client.url}` answers neither a chat nor a completion: {chat.reason}: {chat.detail}",
                hint="check the URL (it ends in /v1), --model and --key-env"
                if ready
                else "it is there but not ready: try again in a while, or with more --retries",
            )
        able: set[Ability] = set()
        for name, outcome in (("chat", chat), ("completion", plain)):
            if isinstance(outcome, Failure) and outcome.reason in BUSY:  # it says nothing of what it can do
                raise EngineError(
                    f"`{self.client.url}` could not be asked for a {name}: {outcome.reason}: {outcome.detail}",
                    hint="run the same command again in a moment",
                )
            if isinstance(outcome, Failure):
                self.why_not[name] = sentence("evals.endpoint_answers_no", name=name, detail=outcome.detail)
            else:
                able.add(name)  # type: ignore[arg-type]
        if scores and isinstance(plain, HttpReply) and echo.shifted(plain.body):
            self.why_not["loglikelihood"] = sentence("evals.shifted_loglikelihood")
        elif scores:
            able.add("loglikelihood")
            await self._tokenizer()
            if not self._by_ids:
                told = await echo.ask(self.client, self.model, f"{EOT}Hello")
                self._reads_eot = isinstance(told, Told) and echo.begins_with(told, EOT, f"{EOT}Hello")
        else:
            self.why_not["loglikelihood"] = sentence("evals.no_prompt_loglikelihood")
        self.why_not["weights"] = sentence("evals.no_weights")
        self.abilities = frozenset(able)

    async def _name(self) -> None:
        if self.model:
            return
        listed = await self.client.get("/models")
        if isinstance(listed, Failure):
            raise EngineError(
                f"`{self.client.url}` does not list its models: {listed.reason}: {listed.detail}",
                hint="give --model NAME",
            )
        names = [str(m.get("id")) for m in listed.body.get("data") or [] if isinstance(m, dict)]
        if not names:
            raise ConfigError(f"`{self.client.url}` lists no model", hint="give --model NAME")
        if len(names) > 1 and not all(m.get("owned_by") == "creuset" for m in listed.body["data"]):
            raise ConfigError(f"`{self.client.url}` serves several models: {', '.join(names[:8])}", hint="give --model")
        self.model = names[0]

    async def _tokenizer(self) -> None:
        quick = await self.client.post("//tokenize", {"model": self.model, "prompt": "Hello"})
        self._by_ids = isinstance(quick, HttpReply) and isinstance(quick.body.get("tokens"), list)
        if not self._by_ids or not isinstance(quick, HttpReply):
            return
        self._window = int(quick.body.get("max_model_len") or 0)
        ids = await self._ids(EOT)
        self._eot = ids[0] if isinstance(ids, list) and len(ids) == 1 else None
        framed, bare = quick.body["tokens"], await self._ids("Hello")
        # Llama's texts begin with a token of their own, which goes before a context here as it does with a folder.
        self._begin = framed[0] if framed[1:] == bare else self._eot
        if self._prefix_asked is not False and self._begin is not None:
            self._prefix = [self._begin]


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"} if key else {}

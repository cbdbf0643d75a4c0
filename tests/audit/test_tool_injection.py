"""Tools: an office replayed is the office lived, agents of several kinds, and both dialects on the wire."""

import asyncio
import json

import pytest

from creuset.benchmarks.security.tool_injection import CALLS, TURNS, ToolInjection
from creuset.benchmarks.security.toolbox import TOOLS, Office, happened, infect
from creuset.evals.clients.http import CallSettings
from creuset.evals.clients.local import _parsed
from creuset.evals.clients.open import open_endpoint
from creuset.evals.model import Failure, GenerateRequest, NotTestable, Reply
from creuset.text.calls.formats import HERMES
from tests.evals.scripted import Scripted, chat

WORLD = {
    "mails": [{"id": "m1", "from": "a@b.example", "subject": "S", "body": "Hello"}],
    "files": {"f.txt": "text"},
    "events": [{"date": "2027-01-02", "time": "09:00", "title": "T"}],
}
SAMPLES = list(ToolInjection().samples(None))


def calling(*calls, text=""):
    made = tuple(
        {
            "id": f"c{at}",
            "type": "function",
            "function": {"name": name, "arguments": given if isinstance(given, str) else json.dumps(given)},
        }
        for at, (name, given) in enumerate(calls)
    )
    return Reply(text=text, finish="tool_calls" if made else "stop", tool_calls=made)


class Agent:
    """Opens what the wish needs, does what it knows the wish to be, and, where it obeys papers, their orders first."""

    def __init__(self, obeys):
        self.obeys, self.heard = obeys, []

    async def generate(self, asks, done=None):
        (ask,) = asks
        self.heard.append(ask)
        sample = next(s for s in SAMPLES if s.asks[0].messages == ask.messages[:2])  # same wish, any attack
        from creuset.benchmarks.security.tool_injection import _data

        data = _data()[sample.meta["lang"]]
        task = data["tasks"][sample.meta["task"]]
        said = [m["content"] for m in ask.messages if m["role"] == "tool"]
        kind, key = task["carrier"]
        if not said:
            return [calling((f"read_{kind}", {"id" if kind == "mail" else "name": key}))]
        if len(said) == 1:
            calls = []
            if self.obeys:
                order = next(
                    (g for g in data["goals"] if json.dumps(g["order"], ensure_ascii=False)[1:-1] in said[0]), None
                )
                calls += [_full(*order["does"])] if order else []
            calls += [_full(*task["does"])] if "does" in task else []
            if calls:
                return [calling(*calls)]
        return [calling(text=" ".join(forms[0] for forms in task.get("says", [])) or "Done.")]


def _full(tool, given):
    wanted = next(t["function"]["parameters"]["required"] for t in TOOLS if t["function"]["name"] == tool)
    return tool, {key: given.get(key, "x") for key in wanted}


def played(subject, samples=SAMPLES):
    task = ToolInjection()

    async def run():
        return [task.score(s, await task.play(s, subject)) | {"cluster": s.cluster, "id": s.id} for s in samples]

    rows = asyncio.run(run())
    return {m.metric: m for m in task.measures(rows)}, rows


def test_an_office_answers_and_remembers_what_was_done():
    office = Office(WORLD)
    assert json.loads(office.call("list_mails", {})) == [{"id": "m1", "from": "a@b.example", "subject": "S"}]
    assert json.loads(office.call("read_mail", {"id": "m1"}))["body"] == "Hello" and office.read == ["m1"]
    assert json.loads(office.call("read_file", {"name": "f.txt"}))["text"] == "text"
    assert json.loads(office.call("list_events", {"date": "2027-01-02"}))[0]["title"] == "T"
    assert json.loads(office.call("list_events", {"date": "2027-01-03"})) == [] and office.effects == []
    assert "error" not in office.call("pay", {"iban": "X", "amount": 3, "reference": "r", "more": 1})
    assert "error" not in office.call("delete_file", {"name": "f.txt"})
    assert office.effects == [("pay", {"iban": "X", "amount": 3, "reference": "r"}), ("delete_file", {"name": "f.txt"})]
    assert json.loads(office.call("list_files", {})) == [] and WORLD["files"] == {"f.txt": "text"}


@pytest.mark.parametrize("name, given, words", [
    ("fly", {}, "there is no tool fly"), ("pay", {"iban": "X"}, "missing: amount, reference"),
    ("read_mail", {"id": "m9"}, "not found"), ("delete_file", {"name": "f.txt "}, "not found"),
    ("share_file", {"name": "none", "to": "a"}, "not found"), ("read_file", None, "not a JSON object"),
    ("read_file", {"name": ["f.txt"]}, "not found"),
])  # fmt: skip
def test_a_wrong_call_is_told_what_is_wrong_and_changes_nothing(name, given, words):
    office = Office(WORLD)
    assert words in json.loads(office.call(name, given))["error"] and office.effects == []


def test_an_order_is_hidden_behind_a_letter_or_a_file():
    assert infect(WORLD, "mail", "m1", "now")["mails"][0]["body"] == "Hello\n\nnow" != WORLD["mails"][0]["body"]
    assert infect(WORLD, "file", "f.txt", "now")["files"]["f.txt"] == "text\n\nnow"
    for kind in ("mail", "file"):
        with pytest.raises(KeyError):
            infect(WORLD, kind, "m2", "now")


def test_an_effect_holds_what_was_wanted_however_it_is_spelled():
    done = [("pay", {"iban": "fr12fern00014455", "amount": "1480,50", "reference": "invoice 2214"})]
    assert happened(done, "pay", {"iban": "FR12 FERN 0001 4455", "amount": 1480.5, "reference": "2214"})
    assert not happened(done, "pay", {"amount": 1480.6}) and not happened(done, "send_mail", {})
    assert not happened([("pay", {"amount": "much"})], "pay", {"amount": 1})
    assert happened([("add_event", {"title": "demo nordine (salle 2)"})], "add_event", {"title": "Démo Nordine"})


def test_every_wish_can_be_fulfilled_and_an_agent_that_obeys_its_user_is_safe():
    measures, rows = played(Agent(obeys=False))
    assert len(rows) == 336 == len({row["id"] for row in rows})
    assert measures["utility"].score == measures["utility.attacked"].score == 1.0 and measures["utility"].n == 16
    assert measures["attack"].score == measures["attack.read"].score == 0.0 and measures["attack.read"].n == 320
    assert measures["tool_use"].score == 1.0 and measures["attack"].better == "lower"


def test_an_agent_that_obeys_papers_reaches_every_goal_of_the_attacker():
    agent = Agent(obeys=True)
    measures, rows = played(agent)
    assert measures["utility"].score == 1.0 and measures["utility.attacked"].score == 0.0
    assert measures["attack"].score == measures["attack.read"].score == 1.0 and measures["attack"].n == 320
    assert {m for m in measures if m.startswith("attack.")} == {
        "attack.read",
        "attack.en",
        "attack.fr",
        "attack.plain",
        "attack.ignore",
        "attack.owner",
        "attack.end",
        "attack.mail_secret",
        "attack.pay_attacker",
        "attack.delete",
        "attack.share",
        "attack.event",
    }
    # Scored from its replies alone, a conversation gives the effects that its tools had.
    assert all(row["answer"] and row["correct"] == row["kept"] == 0.0 for row in rows if row["style"])
    assert all(ask.tools == TOOLS for ask in agent.heard)


def test_one_who_calls_nothing_is_safe_and_useless():
    class Mute:
        async def generate(self, asks, done=None):
            return [Reply(text="I would rather not.", finish="stop")]

    measures, _ = played(Mute(), SAMPLES[:60])
    assert measures["attack"].score == 0 == measures["utility"].score == measures["tool_use"].score
    assert measures["attack.read"].status == "not_applicable" and "no hidden order" in measures["attack.read"].why


def test_calls_without_end_and_calls_in_masses_are_cut_off():
    class Busy:
        asked = 0

        async def generate(self, asks, done=None):
            Busy.asked += 1
            return [calling(*[("pay", {"iban": "A", "amount": 1, "reference": "r"})] * (CALLS + 3), ("pay", "{broken"))]

    _, (row,) = played(Busy(), SAMPLES[:1])
    assert Busy.asked == TURNS and len(row["answer"]) == TURNS * CALLS and row["kept"] == 0.0


def test_failures_are_counted_and_an_endpoint_without_tools_is_not_testable():
    class Broken:
        def __init__(self, reason, detail=""):
            self.said = Failure(reason=reason, detail=detail)

        async def generate(self, asks, done=None):
            return [self.said]

    measures, rows = played(Broken("timeout"), SAMPLES[:20])
    assert rows[0]["failed"] and measures["utility"].failed == 16 and measures["utility"].denominator == 16
    with pytest.raises(NotTestable, match="takes no tools"):
        played(Broken("refused_400", '"auto" tool choice requires a parser'), SAMPLES[:1])


def test_calls_in_the_text_of_local_weights_are_taken_out_of_it():
    text = 'Let me look.\n<tool_call>\n{"name": "read_mail", "arguments": {"id": "m1"}}\n</tool_call>'
    reply = _parsed(Reply(text=text, finish="stop"), HERMES, TOOLS, "none")
    assert reply.text == "Let me look." and reply.finish == "tool_calls"
    assert reply.tool_calls == (
        {"id": "call_0", "type": "function", "function": {"name": "read_mail", "arguments": '{"id": "m1"}'}},
    )
    plain = Reply(text="<tool_call>nothing", finish="length")
    assert _parsed(plain, HERMES, TOOLS, "none") == plain


CALL = {"id": "x1", "type": "function", "function": {"name": "read_mail", "arguments": '{"id": "m1"}'}}
TALK = GenerateRequest(
    tools=TOOLS,
    max_tokens=9,
    messages=(
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Read m1."},
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "x1", "content": "Hello"},
        {"role": "user", "content": "And m2?"},
    ),
)


def wire(dialect, answer):
    async def run(url):
        subject = await open_endpoint(url, model="m", dialect=dialect, calling=CallSettings(retries=0, stream=True))
        try:
            return (await subject.generate([TALK]))[0]
        finally:
            await subject.close()

    with Scripted(answer) as server:
        return asyncio.run(run(server.url)), server.seen[-1][1]


def test_tools_and_calls_cross_the_wire_of_openais_dialect():
    def answer(path, body, number):
        if body is None or "messages" not in body:
            return 404, {"error": {"message": "nothing at this address"}}
        return 200, chat(text=None, tool_calls=[CALL]) if "tools" in body else chat("Hi")

    reply, body = wire("openai", answer)
    assert reply.tool_calls == (CALL,) and reply.text == "" and "stream" not in body
    assert body["tools"] == list(TOOLS) and body["messages"] == list(TALK.messages)
    assert not [w for w in reply.warnings if w.startswith("empty")]


def test_tools_and_calls_cross_the_wire_of_anthropics_dialect():
    def answer(path, body, number):
        said = [{"type": "text", "text": "Hi"}]
        if "tools" in body:
            said = [{"type": "tool_use", "id": "t1", "name": "read_mail", "input": {"id": "m2"}}]
        return 200, {
            "model": "m",
            "content": said,
            "stop_reason": "tool_use" if "tools" in body else "end_turn",
            "usage": {"input_tokens": 5, "output_tokens": 3},
        }

    reply, body = wire("anthropic", answer)
    assert reply.tool_calls[0]["function"] == {"name": "read_mail", "arguments": '{"id": "m2"}'}
    assert reply.finish == "tool_calls" and body["system"] == "Be brief." and len(body["tools"]) == len(TOOLS)
    assert body["tools"][1]["input_schema"]["required"] == ["id"]
    assert [m["role"] for m in body["messages"]] == ["user", "assistant", "user"]
    assert body["messages"][1]["content"] == [
        {"type": "tool_use", "id": "x1", "name": "read_mail", "input": {"id": "m1"}}
    ]
    assert body["messages"][2]["content"] == [
        {"type": "tool_result", "tool_use_id": "x1", "content": "Hello"},
        {"type": "text", "text": "And m2?"},
    ]


def test_an_ask_with_tools_is_a_chat_and_its_tools_are_part_of_what_was_asked():
    from creuset.evals.journal import asked_hash
    from creuset.evals.task import Sample

    with pytest.raises(ValueError, match="tools is a chat"):
        GenerateRequest(prompt="x", tools=TOOLS)
    hashes = {
        asked_hash(Sample(id="a", asks=(GenerateRequest(messages=TALK.messages, tools=tools),)))
        for tools in ((), TOOLS, TOOLS[:1])
    }
    assert len(hashes) == 3

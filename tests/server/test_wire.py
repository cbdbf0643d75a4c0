"""What crosses between the processes is what was sent, and nothing else is taken for it."""

import math
import struct

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from creuset.core.errors import RequestError
from creuset.server.engines import wire
from creuset.types.generation import Event, GenerationRequest, Sampling, TokenLogprob

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
IDS = st.integers(0, 2**31)
LOGPROBS = st.builds(TokenLogprob, IDS, FLOATS, st.lists(st.tuples(IDS, FLOATS), max_size=3).map(tuple))
EVENTS = st.builds(
    Event,
    id=st.text(max_size=8),
    text=st.text(max_size=8),
    tokens=st.lists(IDS, max_size=3).map(tuple),
    logprobs=st.none() | st.lists(LOGPROBS, max_size=2).map(tuple),
    prompt_logprobs=st.none() | st.lists(st.none() | LOGPROBS, max_size=2).map(tuple),
    finish=st.none() | st.sampled_from(["stop", "length", "cancelled", "error"]),
    stop_match=st.none() | st.text(max_size=3),
    stop_token=st.none() | IDS,
    prompt_tokens=IDS,
    completion_tokens=IDS,
    cached_tokens=IDS,
    error=st.none() | st.text(max_size=5),
)
REQUEST = GenerationRequest(
    id="chatcmpl-1:0",
    prompt=[1, 2, 70_000],
    sampling=Sampling(
        max_tokens=5, temperature=0.5, top_p=0.9, top_k=3, min_p=0.1, frequency_penalty=-1.0, presence_penalty=0.5,
        repetition_penalty=1.2, logit_bias={7: -3.5}, seed=-(2**63), min_tokens=2, stop=("a", "é"), stop_ids=(1,),
        ignore_eos=True, logprobs=0, prompt_logprobs=4,
    ),
    salt="ann",
)  # fmt: skip


def body(frame: bytes) -> bytes:
    """A frame without its prefix, which must say how long the rest is."""
    assert wire.length(frame[:4]) == len(frame) - 4
    return frame[4:]


@settings(max_examples=8, derandomize=True, deadline=None)
@given(st.lists(EVENTS, max_size=3), st.dictionaries(st.text(max_size=4), FLOATS, max_size=3))
def test_events_arrive_as_they_were_sent(events: list[Event], stats: dict[str, float]) -> None:
    sent = wire.StepEvents(events, stats)
    assert wire.unpack_up(body(wire.pack(sent))) == sent


@pytest.mark.parametrize(
    "message",
    [
        wire.Ready({"window": 4096, "choices": {"dtype": "fp32"}}),
        wire.LoadFailed("it is damaged", "make it again", 3),
        wire.Refused("a", "the prompt is empty", "prompt", None),
        wire.Heartbeat({"running": 0.0}),
    ],
)
def test_what_the_engine_says_arrives(message: wire.Up) -> None:
    assert wire.unpack_up(body(wire.pack(message))) == message


@pytest.mark.parametrize("message", [wire.Add(REQUEST), wire.Cancel("chatcmpl-1:0")])
def test_what_the_server_says_arrives(message: wire.Down) -> None:
    assert wire.unpack_down(body(wire.pack(message))) == message


def test_sampling_out_of_its_range_does_not_pass_the_wire() -> None:
    raw = msgspec.msgpack.decode(body(wire.pack(wire.Add(REQUEST))))
    raw["request"]["sampling"]["temperature"] = -1.0
    with pytest.raises((RequestError, msgspec.ValidationError), match="`temperature` must be between 0 and 100"):
        wire.unpack_down(msgspec.msgpack.encode(raw))


@pytest.mark.parametrize("junk", [b"", b"\xc1", b"HTTP/1.1 200 OK", msgspec.msgpack.encode({"type": "nothing"})])
def test_what_is_none_of_our_messages_is_an_error(junk: bytes) -> None:
    for unpack in (wire.unpack_up, wire.unpack_down):
        with pytest.raises(msgspec.DecodeError):
            unpack(junk)


def test_a_message_for_one_end_is_not_taken_at_the_other() -> None:
    with pytest.raises(msgspec.ValidationError):
        wire.unpack_up(body(wire.pack(wire.Cancel("a"))))
    with pytest.raises(msgspec.ValidationError):
        wire.unpack_down(body(wire.pack(wire.Heartbeat({}))))


def test_a_length_that_is_none_of_ours_is_refused() -> None:
    assert wire.length(struct.pack(">I", wire.MAX_FRAME)) == wire.MAX_FRAME
    for size in (wire.MAX_FRAME + 1, 2**32 - 1, int.from_bytes(b"HTTP", "big")):
        with pytest.raises(ValueError, match=f"a frame of {size} bytes is not one of ours"):
            wire.length(struct.pack(">I", size))


def test_minus_infinity_crosses() -> None:
    event = Event(id="a", logprobs=(TokenLogprob(1, -math.inf, ((2, -math.inf),)),))
    found = wire.unpack_up(body(wire.pack(wire.StepEvents([event], {}))))
    assert isinstance(found, wire.StepEvents) and found.events == [event]

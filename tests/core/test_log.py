import json

import pytest

from creuset.core.log import Events, Progress, duration, say


def test_events_are_lines_that_survive_a_kill(tmp_path):
    file = tmp_path / "run" / "events.jsonl"
    with Events(file, clock=lambda: 12.3456) as events:
        events.write("step", loss=1.5, name="é")
        # Before it is closed: what a killed run leaves.
        assert json.loads(file.read_text()) == {"t": 12.346, "event": "step", "loss": 1.5, "name": "é"}
    with Events(file, clock=lambda: 13.0) as events:
        events.write("step", loss=1.0)
    assert len(file.read_text().splitlines()) == 2


def test_ranks_that_do_not_lead_keep_nothing(tmp_path):
    with Events(None) as events:
        events.write("step", loss=1.0)
    assert list(tmp_path.iterdir()) == []


def test_talk_goes_to_stderr_so_that_stdout_stays_data(capsys):
    say("hello")
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "hello\n")


def test_progress_off_a_terminal_is_a_line_now_and_then(capsys):
    now = [0.0]
    progress = Progress(every_s=10, clock=lambda: now[0])
    for second in range(25):
        now[0] = float(second)
        progress.show(f"at {second}")
    progress.show("done", final=True)
    assert capsys.readouterr().err.split("\n") == ["at 0", "at 10", "at 20", "done", ""]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 s"),
        (4.2, "4 s"),
        (59.6, "1 min 00 s"),
        (65, "1 min 05 s"),
        (3725, "1 h 02 min"),
        (90_000, "25 h 00 min"),
    ],
)
def test_durations_are_for_people(seconds, text):
    assert duration(seconds) == text

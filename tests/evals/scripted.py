"""Somebody else's endpoint, played by a script: an HTTP server in a thread that answers what a function tells it to."""

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Scripted:
    """`answer(path, body, number)` gives (status, JSON or text, headers), or None: the connection is cut."""

    def __init__(self, answer):
        self.seen = []  # (path, body, headers)
        script = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"] or 0)) or "null")
                script.seen.append((self.path, body, dict(self.headers)))
                self._say(answer(self.path, body, len(script.seen)))

            def do_GET(self):
                self._say(answer(self.path, None, len(script.seen)))

            def _say(self, said):
                if said is None:
                    self.close_connection = True
                    self.connection.close()
                    return
                status, value, *more = said
                raw = value.encode() if isinstance(value, str) else json.dumps(value).encode()
                headers = {"content-type": "application/json", "content-length": str(len(raw))} | (more or [{}])[0]
                self.send_response(status)
                for name, text in headers.items():
                    self.send_header(name, text)
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_):
                pass

            def finish(self):
                with contextlib.suppress(OSError, ValueError):  # cut on purpose, or left by the client
                    super().finish()

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.handle_error = lambda *_: None
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def chat(text="Paris", *, prompt=5, completion=2, model="m-1", finish="stop", **more):
    """A chat completion of OpenAI's dialect."""
    message = {"role": "assistant", "content": text, **more}
    return {
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {"prompt_tokens": prompt, "completion_tokens": completion},
    }


def only_chat(reply):
    """A server that chats by `reply(body, number)` and has nothing else."""

    def answer(path, body, number):
        if path != "/v1/chat/completions":
            return 404, {"error": {"message": "there is nothing at this address"}}
        return reply(body, number)

    return answer

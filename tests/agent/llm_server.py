"""A server that speaks enough of OpenAI's API for the real SDK, and says what it is told to."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

__all__ = ["LlmServer", "Request", "completion"]


@dataclass(frozen=True)
class Request:
    """What a client sent."""

    path: str
    authorization: str | None
    body: dict[str, Any]


def completion(content: str | None, **message: Any) -> dict[str, Any]:
    """Return the body of a chat completion."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "small",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": content, **message},
            }
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }


@dataclass
class LlmServer:
    """Answers on a port of its own until it is left.

    Attributes:
        replies: Status and body of the answers to come; `answer N` when there are none left.
        requests: What came in.
    """

    replies: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    def __enter__(self) -> Self:
        script = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                script.requests.append(Request(self.path, self.headers["Authorization"], body))
                status, answer = script._next()
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.send_header("Retry-After-Ms", "1")
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _next(self) -> tuple[int, dict[str, Any]]:
        if self.replies:
            return self.replies.pop(0)
        return 200, completion(f"answer {len(self.requests)}")

    @property
    def url(self) -> str:
        """What to pass as `base_url`."""
        return f"http://127.0.0.1:{self._server.server_port}/v1"

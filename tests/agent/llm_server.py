"""A server that speaks enough of OpenAI's API for the real SDK, and says what it is told to."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

__all__ = ["LlmServer", "Request", "calling", "completion"]


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


def calling(*calls: tuple[str, str, str]) -> dict[str, Any]:
    """Return the body of a completion that calls tools: id, name and arguments of each call."""
    return completion(
        None,
        tool_calls=[
            {"id": one, "type": "function", "function": {"name": name, "arguments": arguments}}
            for one, name, arguments in calls
        ],
    )


def chunks(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a completion as it is streamed: a few characters at a time, tool calls too."""
    message = answer["choices"][0]["message"]
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    content = message.get("content") or ""
    deltas += [{"content": content[at : at + 4]} for at in range(0, len(content), 4)]
    for index, call in enumerate(message.get("tool_calls") or ()):
        arguments = call["function"]["arguments"]
        opened = {**call, "index": index, "function": {**call["function"], "arguments": ""}}
        deltas.append({"tool_calls": [opened]})
        deltas += [
            {"tool_calls": [{"index": index, "function": {"arguments": arguments[at : at + 4]}}]}
            for at in range(0, len(arguments), 4)
        ]
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "small"}
    found = [
        {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        for delta in deltas
    ]
    found.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    found.append({**head, "choices": [], "usage": answer["usage"]})
    return found


@dataclass
class LlmServer:
    """Answers on a port of its own until it is left.

    Attributes:
        replies: Status and body of the answers to come; `answer N` when there are none left.
        requests: What came in.
        cut_after: The connection is cut after that many chunks of a stream.
    """

    replies: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    cut_after: int | None = None

    def __enter__(self) -> Self:
        script = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                script.requests.append(Request(self.path, self.headers["Authorization"], body))
                status, answer = script._next(body.get("n") or 1)
                if status == 200 and body.get("stream"):
                    self.stream(answer)
                    return
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.send_header("Retry-After-Ms", "1")
                self.end_headers()
                self.wfile.write(data)

            def stream(self, answer: dict[str, Any]) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                lines = [json.dumps(chunk) for chunk in chunks(answer)]
                for line in [*lines, "[DONE]"][: script.cut_after]:
                    data = f"data: {line}\n\n".encode()
                    self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
                if script.cut_after is None:
                    self.wfile.write(b"0\r\n\r\n")
                self.close_connection = script.cut_after is not None

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

    def _next(self, n: int) -> tuple[int, dict[str, Any]]:
        if self.replies:
            return self.replies.pop(0)
        answer = completion(f"answer {len(self.requests)}")
        first = answer["choices"][0]
        for index in range(1, n):
            message = {**first["message"], "content": f"choice {index}"}
            answer["choices"].append({**first, "index": index, "message": message})
        return 200, answer

    @property
    def url(self) -> str:
        """What to pass as `base_url`."""
        return f"http://127.0.0.1:{self._server.server_port}/v1"

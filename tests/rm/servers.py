"""Stand-ins for other people's servers, over real HTTP: an OpenAI-compatible judge and UniRL's reward service.

Both look at the pictures that they are sent: the brighter one wins.
"""

from __future__ import annotations

import base64
import io
import json
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
from PIL import Image

Answer = Callable[[str, dict[str, Any], dict[str, str]], tuple[int, Any]]


@contextmanager
def served(answer: Answer) -> Iterator[str]:
    """The address of a server that answers POST (path, body, headers) with (status, JSON)."""
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, document = answer(self.path, body, dict(self.headers))
            data = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Retry-After", "0")
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            """Silence."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def brightness(data: str) -> float:
    """Mean of a base64 picture, in [0, 1]."""
    return float(np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))).mean()) / 255


def judge(path: str, body: dict[str, Any], headers: dict[str, str]) -> tuple[int, Any]:
    """POST /v1/chat/completions as vLLM answers it, with the verdict in three spellings."""
    assert path == "/v1/chat/completions" and body["logprobs"] and body["top_logprobs"] == 20
    shown = [brightness(piece["image_url"]["url"].partition("base64,")[2])
             for piece in body["messages"][0]["content"] if piece["type"] == "image_url"]
    half = len(shown) // 2
    p_yes = 1 / (1 + math.exp(-20 * (sum(shown[half:]) - sum(shown[:half])) / half))
    spelled = {"yes": 0.6 * p_yes, "Yes": 0.2 * p_yes, " No": 0.8 * (1 - p_yes), "maybe": 0.2}
    top = [{"token": token, "logprob": math.log(p)} for token, p in spelled.items() if p > 0]
    return 200, {"choices": [{"message": {"content": "yes"}, "logprobs": {"content": [{"top_logprobs": top}]}}]}


def rewards(path: str, body: dict[str, Any], headers: dict[str, str]) -> tuple[int, Any]:
    """POST /score as UniRL's service answers it; black pictures cannot be scored."""
    assert path == "/score"
    results, errors = [], []
    for request in body["requests"]:
        assert request["required_rewards"] == ["hpsv3"]
        value = brightness(request["history"][0]["image_b64"])
        results.append({"hpsv3": {"mu": 10 * value}} if value else {})
        errors.append({} if value else {"hpsv3": "no picture"})
    return 200, {"results": results, "errors": errors}


def unified_reward(path: str, body: dict[str, Any], headers: dict[str, str]) -> tuple[int, Any]:
    """POST /v1/chat/completions as vLLM serves UnifiedReward: free text with a score from 1 to 5; black has none."""
    assert path == "/v1/chat/completions" and "Final Score:" in body["messages"][0]["content"][1]["text"]
    value = brightness(body["messages"][0]["content"][0]["image_url"]["url"].partition("base64,")[2])
    said = f"It is bright.\nFinal Score: {1 + 4 * value:.2f}" if value else "I cannot say."
    return 200, {"choices": [{"message": {"content": said}}]}

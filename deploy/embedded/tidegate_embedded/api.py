"""The few calls the wrapper makes to the API server, over the standard library: JSON in, JSON out, never through a proxy."""

import http.client
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TIMEOUT_SECONDS = 60.0
NOT_FOUND = 404

_CONTENT_TYPES = {"PATCH": "application/merge-patch+json"}


class CallError(Exception):
    """The API server did not answer, or not with a success; `status` is None when there was no answer at all."""

    def __init__(self, reason: str, *, status: int | None = None) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A bearer of one token against one server."""

    server: str
    ca: Path
    token: str
    opener: urllib.request.OpenerDirector = field(init=False, repr=False)

    def __post_init__(self) -> None:
        https = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=str(self.ca)))
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), https)
        object.__setattr__(self, "opener", opener)

    def get(self, path: str) -> Any:
        return self.call("GET", path)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        return self.call("POST", path, body)

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        request = urllib.request.Request(  # noqa: S310 - always https://127.0.0.1
            self.server + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self.token}",
                "Content-Type": _CONTENT_TYPES.get(method, "application/json"),
                "User-Agent": "tidegate-embedded",
            },
        )
        try:
            with self.opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                detail = error.read().decode(errors="replace")
            raise CallError(f"{method} {path}: {error.code} {detail[:500]}", status=error.code) from error
        except (OSError, http.client.HTTPException) as error:
            raise CallError(f"{method} {path}: {error}") from error
        return json.loads(text) if text.startswith(b"{") else text.decode()

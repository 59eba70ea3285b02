"""AWS Signature Version 4 for requests that are sent as they are: no streaming, no S3, no signed query. Pure.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html; the tests hold signatures of botocore.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final
from urllib.parse import quote, urlsplit

from tidegate.outbound import Call

ALGORITHM: Final = "AWS4-HMAC-SHA256"
DEFAULT_PORTS: Final = {"http": 80, "https": 443}
UNSIGNED: Final = frozenset({"authorization", "user-agent", "accept-encoding", "connection", "expect", "x-amzn-trace-id"})
"""Headers that a client or a proxy may set or change on the way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """`until` is None for keys that do not expire."""

    access: str
    secret: str = field(repr=False)
    token: str = field(default="", repr=False)
    until: datetime | None = None


def signed(call: Call, keys: Keys, *, service: str, region: str, now: datetime) -> Call:
    """The call with the headers that prove who sends it. Nothing of it may be changed afterwards."""
    moment = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    added = [("X-Amz-Date", moment), *([("X-Amz-Security-Token", keys.token)] if keys.token else [])]
    kept = [(name, value) for name, value in call.headers if name.lower() not in {"authorization", "x-amz-date"}]
    unsigned = replace(call, headers=(*kept, *added))
    scope = f"{moment[:8]}/{region}/{service}/aws4_request"
    names, request = canonical_request(unsigned)
    signature = hmac.new(_key(keys.secret, scope), string_to_sign(request, moment, scope).encode(), sha256).hexdigest()
    proof = f"{ALGORITHM} Credential={keys.access}/{scope}, SignedHeaders={names}, Signature={signature}"
    return replace(unsigned, headers=(*unsigned.headers, ("Authorization", proof)))


def canonical_request(call: Call) -> tuple[str, str]:
    """The names of the signed headers, and the text whose hash is signed."""
    parts = urlsplit(call.url)
    headers = {"host": _host(call.url)} | {name.lower(): " ".join(value.split()) for name, value in call.headers}
    headers = {name: headers[name] for name in sorted(headers) if name not in UNSIGNED}
    names = ";".join(headers)
    lines = [call.method, quote(parts.path or "/", safe="/-_.~"), _query(parts.query), *_lines(headers), "", names]
    return names, "\n".join([*lines, sha256(call.body).hexdigest()])


def _lines(headers: Mapping[str, str]) -> list[str]:
    return [f"{name}:{value}" for name, value in headers.items()]


def _query(query: str) -> str:
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    return "&".join(f"{name}={value}" for name, _, value in sorted(pairs))


def _host(url: str) -> str:
    parts = urlsplit(url)
    name = (parts.netloc.rpartition("@")[2]).lower()
    return name.removesuffix(f":{DEFAULT_PORTS.get(parts.scheme)}")


def string_to_sign(request: str, moment: str, scope: str) -> str:
    return "\n".join([ALGORITHM, moment, scope, sha256(request.encode()).hexdigest()])


def _key(secret: str, scope: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), sha256).digest()
    return key

"""Signatures after Standard Webhooks 1.0, symmetric scheme: HMAC-SHA256 over `id.timestamp.body`. Pure.

How a receiver verifies (`verify` does it, and so do the libraries of standardwebhooks.com):
1. Take the raw body as it came; parsing and writing it again changes bytes.
2. Refuse a `webhook-timestamp` that is more than five minutes off: it may be a replay.
3. Compute the signature, and compare it in constant time with each one in `webhook-signature`.
4. Drop a `webhook-id` seen before: delivery is at least once.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
TOLERANCE = 300.0  # seconds; what the specification's own libraries allow
_PREFIX = "whsec_"


def key_of(secret: str) -> bytes:
    """`whsec_<base64>` as the specification writes secrets; any other text is the key itself.

    The error never repeats the secret: it ends in logs.
    """
    if not secret.startswith(_PREFIX):
        return secret.encode()
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not key:
        raise ValueError(f"{_PREFIX} and base64, or a text without that prefix")
    return key


def signature(key: bytes, *, id: str, timestamp: int, body: bytes) -> str:  # noqa: A002 - the specification's name
    digest = hmac.digest(key, f"{id}.{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"


def verify(secret: str, *, headers: Mapping[str, str], body: bytes, now: float, tolerance: float = TOLERANCE) -> bool:
    """Whether the request was signed with this secret, not longer ago than `tolerance` seconds. Header names in any case."""
    given = {name.lower(): value for name, value in headers.items()}
    timestamp = given.get(TIMESTAMP, "")
    if not timestamp.isascii() or not timestamp.isdigit() or abs(now - int(timestamp)) > tolerance:
        return False
    expected = signature(key_of(secret), id=given.get(ID, ""), timestamp=int(timestamp), body=body).encode()
    return any(hmac.compare_digest(expected, each.encode()) for each in given.get(SIGNATURE, "").split())

"""Notes as signed HTTP requests, after the Standard Webhooks specification, so that receivers can use its libraries to verify them.

Body: the outcome as a CloudEvent in JSON. Headers: `webhook-id` (the event's id: the same for each repeat, so receivers drop
repeats by it), `webhook-timestamp`, `webhook-signature: v1,<base64 of HMAC-SHA256 over "id.timestamp.body">`.

At least once: what may pass (network, 408, 429, 5xx) is tried again, after the time the receiver asks for in Retry-After;
what will not (any other 4xx, a redirect: a signed body must not go where nobody configured it) is given up.
"""

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx
import orjson

from tidegate.errors import GiveUp, Retry
from tidegate_notifier.channel import Note

TIMEOUT = 10.0
LONGEST_RETRY_AFTER = 3600.0
_MAY_PASS = frozenset({408, 425, 429})
_SECRET_PREFIX = "whsec_"  # noqa: S105 - the specification's marker, not a secret


class Webhook:
    def __init__(self, *, url: str, secret: str, client: httpx.AsyncClient, clock: Callable[[], float] = time.time) -> None:
        self._url = url
        self._key = key_of(secret)
        self._client = client
        self._clock = clock

    async def send(self, note: Note) -> None:
        body = orjson.dumps(note.event, option=orjson.OPT_SORT_KEYS)
        headers = signed_headers(self._key, message_id=header_safe(note.id), timestamp=int(self._clock()), body=body)
        try:
            answer = await self._client.post(self._url, content=body, headers=headers, timeout=TIMEOUT, follow_redirects=False)
        except httpx.HTTPError as error:
            raise Retry(f"webhook not delivered: {type(error).__name__} {error}".rstrip()) from error
        judge(answer, now=self._clock())


def judge(answer: httpx.Response, *, now: float) -> None:
    """Return if the receiver has it, raise what to do else."""
    status = answer.status_code
    if answer.is_success:
        return
    if status in _MAY_PASS or status >= 500:
        raise Retry(f"webhook answered {status}", after=retry_after(answer.headers.get("retry-after"), now=now))
    if answer.is_redirect:
        raise GiveUp(f"webhook answered {status} to {answer.headers.get('location')!r}; redirects are not followed")
    raise GiveUp(f"webhook answered {status}: {answer.text[:200]}")


def signed_headers(key: bytes, *, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    digest = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "content-type": "application/cloudevents+json",
        "user-agent": "tidegate-notifier",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def key_of(secret: str) -> bytes:
    """`whsec_<base64>` as the specification writes secrets; any other text is the key itself."""
    if secret.startswith(_SECRET_PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(_SECRET_PREFIX), validate=True)
        except binascii.Error as error:
            raise ValueError(f"a secret that starts with {_SECRET_PREFIX} must go on in base64: {error}") from error
    return secret.encode()


def header_safe(text: str) -> str:
    """An id as a header value. Ids of foreign senders may hold anything; a digest of one is as good an id."""
    if text.isascii() and text.isprintable() and text.strip() == text:
        return text
    return hashlib.sha256(text.encode()).hexdigest()


def retry_after(value: str | None, *, now: float) -> float | None:
    """Seconds to wait by a Retry-After header (a number or a date), at most an hour; None if it says nothing usable."""
    if not value:
        return None
    if value.strip().isdigit():
        return min(float(value), LONGEST_RETRY_AFTER)
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return None
    aware = until if until.tzinfo else until.replace(tzinfo=UTC)
    return min(max(0.0, (aware - datetime.fromtimestamp(now, UTC)).total_seconds()), LONGEST_RETRY_AFTER)

"""One message out: stored by its stream, or only said. What stands in the way becomes `Retry` or `GiveUp` here, once."""

import asyncio
from collections.abc import Awaitable, Callable

import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.errors import APIError

from tidegate.bus import subjects
from tidegate.bus.pull import SETTLE
from tidegate.errors import GiveUp, Retry

_TOO_LARGE = frozenset({10054})  # message size exceeds maximum allowed
_FULL = frozenset({10077})  # maximum messages per subject exceeded


async def say(client: Client, subject: str, body: bytes, headers: dict[str, str], *, reply: str) -> None:
    """To whoever listens now. The reply subject is one that a stream keeps: any NATS client's `respond` answers there."""
    if len(body) > subjects.MAX_BODY:
        raise GiveUp(f"{subject}: the body is {len(body)} bytes, at most {subjects.MAX_BODY} are accepted")
    try:
        await client.publish(subject, body, reply=reply, headers=headers)
    except (nats.errors.Error, OSError) as error:
        raise Retry(f"{subject}: not sent, NATS is away ({error or type(error).__name__})") from error


async def store(
    js: JetStreamContext, subject: str, body: bytes, headers: dict[str, str], *, most: int, ensure: Callable[[], Awaitable[None]]
) -> None:
    """`most`: bytes that the server takes. `ensure` makes the streams again, where one is gone."""
    if len(body) > subjects.MAX_BODY:
        raise GiveUp(f"{subject}: the body is {len(body)} bytes, at most {subjects.MAX_BODY} are accepted")
    try:
        try:
            await js.publish(subject, body, headers=headers)
        except nats.js.errors.NoStreamResponseError:
            await asyncio.sleep(SETTLE)  # the stream was deleted
            await ensure()
            await js.publish(subject, body, headers=headers)
    except nats.errors.MaxPayloadError as error:
        raise GiveUp(f"{subject}: larger than the server's max_payload of {most} bytes") from error
    except APIError as error:
        raise _refused(subject, error) from error
    except (nats.errors.Error, OSError, TimeoutError) as error:
        raise Retry(f"{subject}: not stored, NATS is away ({error or type(error).__name__})") from error


def _refused(subject: str, error: APIError) -> Retry | GiveUp:
    if error.err_code in _TOO_LARGE:
        return GiveUp(f"{subject}: larger than the stream accepts")
    if error.err_code in _FULL:
        return Retry(f"{subject}: too many messages wait for this rollout already", after=5.0)
    return Retry(f"{subject}: not stored, {error.description or error}")

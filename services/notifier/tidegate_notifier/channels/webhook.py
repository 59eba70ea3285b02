"""Notes as signed CloudEvents to one URL, after Standard Webhooks; services/notifier/README.md tells receivers what to expect.

At least once, each repeat under the same `webhook-id`. What may pass (no answer, 408, 425, 429, 5xx) is `Retry`, after the time
that the receiver asks for; every other answer but 2xx is `GiveUp`, a redirect too: what is signed goes where somebody set it to go.
Neither the secret nor the URL, whose path is often a secret as well, gets into a reason or a log: they name the host.
"""

import asyncio
import contextlib
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import ClassVar, Final, Self

import httpx

from tidegate.config import Settings
from tidegate.errors import GiveUp, Retry, SettingError
from tidegate_notifier.channel import Note
from tidegate_notifier.render import cloud_event, webhook_id
from tidegate_notifier.signature import ID, SIGNATURE, TIMESTAMP, key_of, signature

TIMEOUT: Final = 10.0
IN_FLIGHT: Final = 16  # requests at a time: a receiver that comes back after an hour must not be met by all that waited
SHORTEST_WAIT, LONGEST_WAIT = 1.0, 3600.0  # bounds of what a receiver may ask for in Retry-After
_MAY_PASS = frozenset({408, 425, 429})
_ANSWER_BYTES, _ANSWER_SECONDS, _TOLD_CHARACTERS = 2048, 1.0, 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the receiver said; `text` is the beginning of its body, in one line."""

    status: int
    retry_after: str = ""
    text: str = ""


class Webhook:
    """`async with Webhook(url=..., key=...) as channel`."""

    offers: ClassVar[tuple[str, ...]] = ("CloudEvents", "signed after Standard Webhooks", "at least once, in order", "Retry-After")

    def __init__(self, *, url: str, key: bytes, clock: Callable[[], float] = time.time, timeout: float = TIMEOUT) -> None:
        self._url = httpx.URL(url)
        self._sign = _signer(key)
        self._clock = clock
        self._timeout = timeout
        self._in_flight = asyncio.Semaphore(IN_FLIGHT)
        self._client = httpx.AsyncClient(
            verify=ssl.create_default_context(),  # the system's authorities, among them a company's own
            trust_env=False,  # or .netrc and proxies of the environment would have a say in where this goes
            follow_redirects=False,
            timeout=None,  # noqa: S113 - one time-out for the whole exchange is in `_post`
            limits=httpx.Limits(max_connections=IN_FLIGHT),
            headers={"user-agent": "tidegate-notifier", "accept-encoding": "identity"},
        )

    @classmethod
    def configured(cls, settings: Settings) -> Self | None:
        if not settings.webhook_url or not settings.webhook_secret:
            return None
        try:
            key = key_of(settings.webhook_secret)
        except ValueError as error:
            raise SettingError("TIDEGATE_WEBHOOK_SECRET", "whsec_...", str(error)) from None
        return cls(url=_one_url(settings.webhook_url), key=key)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._client.aclose()

    async def send(self, note: Note) -> None:
        async with self._in_flight:
            try:
                answer = await self._post(note)
            except TimeoutError as error:
                raise Retry(f"webhook {self._url.host} did not answer within {self._timeout:g} s") from error
            except httpx.TransportError as error:
                raise Retry(f"webhook {self._url.host} could not be reached: {error or type(error).__name__}") from error
        judge(answer, host=self._url.host, now=self._clock())

    async def _post(self, note: Note) -> Answer:
        body, timestamp, sent_id = cloud_event(note), int(self._clock()), webhook_id(note)
        headers = {
            "content-type": "application/cloudevents+json",
            ID: sent_id,
            TIMESTAMP: str(timestamp),
            SIGNATURE: self._sign(sent_id, timestamp, body),
        }
        request = self._client.build_request("POST", self._url, content=body, headers=headers)
        async with asyncio.timeout(self._timeout):
            response = await self._client.send(request, stream=True)
        try:
            text = " ".join((await _beginning(response)).decode(errors="replace").split())[:_TOLD_CHARACTERS]
            return Answer(status=response.status_code, retry_after=response.headers.get("retry-after", ""), text=text)
        finally:
            await response.aclose()


def _one_url(text: str) -> str:
    """A mistake here would else be a host that cannot be reached, and tried for ever."""
    try:
        host = httpx.URL(text).host
    except httpx.InvalidURL:
        host = ""
    if not host or set(host) & set(",%") or ",http" in text:
        raise SettingError("TIDEGATE_WEBHOOK_URL", text.partition("://")[0] + "://...", "one URL with a valid host and port")
    return text


def _signer(key: bytes) -> Callable[[str, int, bytes], str]:
    """Holds the key where neither a `repr` nor the locals of a traceback show it."""
    return lambda sent_id, timestamp, body: signature(key, id=sent_id, timestamp=timestamp, body=body)


async def _beginning(response: httpx.Response) -> bytes:
    """The first part of the body. It is only told to people, so neither its length, its pace nor its end may matter."""
    beginning = bytearray()
    with contextlib.suppress(httpx.HTTPError, TimeoutError):
        async with asyncio.timeout(_ANSWER_SECONDS):
            async for chunk in response.aiter_raw():
                beginning += chunk
                if len(beginning) >= _ANSWER_BYTES:
                    break
    return bytes(beginning[:_ANSWER_BYTES])


def judge(answer: Answer, *, host: str, now: float) -> None:
    """Return if the receiver has it; raise what to do if not."""
    status = answer.status
    if 200 <= status < 300:
        return
    told = f"webhook {host} answered {status}" + (f": {answer.text}" if answer.text else "")
    if status in _MAY_PASS or status >= 500:
        raise Retry(told, after=wait_asked_for(answer.retry_after, now=now))
    if 300 <= status < 400:
        raise GiveUp(
            f"webhook {host} answered {status}, a redirect, and these are not followed; set TIDEGATE_WEBHOOK_URL to its target"
        )
    raise GiveUp(told)


def wait_asked_for(retry_after: str, *, now: float) -> float | None:
    """Seconds to wait by a Retry-After header (a number or a date), within bounds; None if it asks for nothing readable."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        seconds = float(text)
    else:
        try:
            until = parsedate_to_datetime(text)
        except ValueError:
            return None
        seconds = (until if until.tzinfo else until.replace(tzinfo=UTC)).timestamp() - now
    return min(max(seconds, SHORTEST_WAIT), LONGEST_WAIT)

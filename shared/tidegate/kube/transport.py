"""One HTTP exchange with the API server: credentials, time-outs, and what may be sent twice.

A read is repeated on any transient error. A write is repeated only when it certainly was not carried out: no connection came
about, or the server answered 429. Everything else is the caller's to decide, who knows the write's precondition.
"""

import asyncio
import os
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from functools import lru_cache
from types import TracebackType
from typing import Any, Final, NoReturn, Self
from urllib.parse import urlencode

import aiohttp
import orjson
from yarl import URL

from tidegate.errors import KubeError
from tidegate.kube.credentials import Cluster, Headers
from tidegate.kube.errors import (
    ServerUnavailable,
    TooManyRequests,
    Transient,
    Unauthorized,
    Unreachable,
    kube_error,
    status_object,
)

Query = Mapping[str, str]

ATTEMPTS: Final = 4
FIRST_PAUSE: Final = 0.2
LONGEST_PAUSE: Final = 10.0
"""A longer Retry-After is handed to the caller, whose message can go back to the queue meanwhile."""
CONNECT_TIMEOUT: Final = 10.0
KEEP_ALIVE: Final = 60.0  # below the API server's 90 s and most load balancers' idle limits


def pause_before_repeat(error: Transient, *, read: bool, attempt: int, jitter: float) -> float | None:
    """Seconds until the same request may be sent again, or None if it must not be. `jitter` is in [0, 1)."""
    if attempt >= ATTEMPTS or not (read or isinstance(error, Unreachable | TooManyRequests)):
        return None
    if error.retry_after is not None:
        # Spread over half as much again: all who were refused together must not come back together.
        return error.retry_after * (1 + jitter / 2) if error.retry_after <= LONGEST_PAUSE else None
    return float(FIRST_PAUSE * 2 ** (attempt - 1) * (0.5 + jitter))


class Transport:
    """A session with one API server, shared by everything in the process."""

    def __init__(
        self,
        cluster: Cluster,
        *,
        user_agent: str,
        timeout: float = 30.0,
        connections: int = 100,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._cluster = cluster
        self._user_agent = user_agent
        self._timeout = timeout
        self._connections = connections
        self._sleep = sleep
        self._jitter = jitter
        self._renewing = asyncio.Lock()
        self._opened: aiohttp.ClientSession | None = None
        self._extra: dict[str, Any] = {
            name: value
            for name, value in (("server_hostname", cluster.server_hostname), ("proxy", cluster.proxy))
            if value is not None
        }

    async def __aenter__(self) -> Self:
        self._opened = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=self._connections,
                keepalive_timeout=KEEP_ALIVE,
                ssl=self._cluster.ssl_context if self._cluster.ssl_context is not None else True,
            ),
            headers={
                "User-Agent": self._user_agent,
                "Accept": "application/json",
                "Accept-Encoding": "identity",  # gzip of large lists costs both sides more than the bytes do inside a cluster
            },
            timeout=aiohttp.ClientTimeout(total=self._timeout, sock_connect=CONNECT_TIMEOUT),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )
        # aiohttp repeats a GET or DELETE whose connection broke, even if the server had read it: a DELETE could take a namesake.
        self._opened._retry_connection = False  # noqa: SLF001 - there is no public way; a test notices if this one goes
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._session.close()
        await asyncio.sleep(0)  # aborted streams close their sockets in the loop's next turn

    @property
    def _session(self) -> aiohttp.ClientSession:
        if self._opened is None:
            raise RuntimeError("Kube is used outside of `async with`")
        return self._opened

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: object = None,
        content_type: str = "application/json",
        patient: bool = True,
    ) -> Any:
        """The decoded answer, or the error it stands for. `patient=False` sends once whatever happens."""
        url = self._url(path, query)
        data = None if body is None else orjson.dumps(body)
        # The API server alone knows that a JSON patch's `test` failed, and says so in no distinct way; see `kube_error`.
        tested = isinstance(body, list) and any(operation.get("op") == "test" for operation in body)
        attempt, renewed = 0, False
        while True:
            headers = self._cluster.headers(False)
            try:
                return await self._exchange(method, url, data, {**headers, "Content-Type": content_type}, tested=tested)
            except Unauthorized:
                if renewed:
                    raise
                renewed = True
                await self._renew(headers)
            except Transient as error:
                attempt += 1
                pause = pause_before_repeat(error, read=method == "GET", attempt=attempt, jitter=self._jitter())
                if pause is None or not patient:
                    raise
                await self._sleep(pause)

    async def chunks(self, path: str, query: Query, *, quiet_limit: float) -> AsyncGenerator[bytes, None]:
        """A streamed answer. Ends when the server ends it; raises when it breaks or is silent for `quiet_limit` seconds."""
        headers = self._cluster.headers(False)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT, sock_read=quiet_limit)
        try:
            async with self._session.get(
                self._url(path, query), headers=headers, timeout=timeout, allow_redirects=False, **self._extra
            ) as response:
                if response.status != 200:
                    raise _refusal(response, await response.read(), tested=False)
                try:
                    async for chunk in response.content.iter_any():
                        yield chunk
                finally:
                    _abort(response)
        except Unauthorized:
            await self._renew(headers)
            raise
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            _raise_unavailable(error)

    def _url(self, path: str, query: Query | None) -> URL:
        if query:
            return URL(f"{self._cluster.server}{path}?{urlencode(query)}", encoded=True)
        return _url_without_query(self._cluster.server + path)

    async def _exchange(self, method: str, url: URL, data: bytes | None, headers: Headers, *, tested: bool) -> Any:
        try:
            # A redirect would carry the token elsewhere; the API server never sends one for these paths.
            async with self._session.request(
                method, url, data=data, headers=headers, allow_redirects=False, **self._extra
            ) as response:
                answer = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            _raise_unavailable(error)
        if not 200 <= response.status < 300:
            raise _refusal(response, answer, tested=tested)
        try:
            return orjson.loads(answer)
        except orjson.JSONDecodeError as error:
            raise ServerUnavailable(f"{method} {url.path} was answered with what is not JSON", status=response.status) from error

    async def _renew(self, refused: Headers) -> None:
        """Read the credentials anew, once for all the requests that were refused with the same ones."""
        async with self._renewing:
            if self._cluster.headers(False) is refused:
                await asyncio.to_thread(self._cluster.headers, True)


@lru_cache(maxsize=4096)
def _url_without_query(text: str) -> URL:
    """Parsing costs as much as a tenth of a request, and a rollout's few objects are written again and again."""
    return URL(text, encoded=True)


def _refusal(response: aiohttp.ClientResponse, body: bytes, *, tested: bool) -> KubeError:
    retry_after = response.headers.get("Retry-After", "")
    return kube_error(
        status_object(body, response.status),
        status=response.status,
        retry_after=float(retry_after) if retry_after.isdecimal() else None,
        tested=tested,
    )


def _abort(response: aiohttp.ClientResponse) -> None:
    """End a stream that is not at its end. TLS's polite goodbye would wait 30 s for a server that may be gone."""
    if response.connection is not None and response.connection.transport is not None:
        response.connection.transport.abort()


def _raise_unavailable(error: Exception) -> NoReturn:
    never_sent = isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
    text = f"the API server could not be reached: {_reason(error)}"
    raise (Unreachable if never_sent else ServerUnavailable)(text, status=0) from error


def _reason(error: Exception) -> str:
    """aiohttp names its own TLS setting and asyncio's call where a person looks for an address and a cause."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        cause = getattr(error.certificate_error, "verify_message", "") or error.certificate_error
        return f"{error.host}:{error.port}: its certificate is not accepted: {cause}"
    if not isinstance(error, aiohttp.ClientConnectorError) or isinstance(error, aiohttp.ClientSSLError):
        return str(error) or type(error).__name__
    fault, number = error.os_error, error.os_error.errno or 0  # a name that is not resolved has a negative one
    return f"{error.host}:{error.port}: {os.strerror(number) if number > 0 else fault.strerror or fault}"

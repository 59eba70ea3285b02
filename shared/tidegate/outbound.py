"""The way out over HTTP: one place that decides who may be called, how long it may take and how much may come back.

URLs come from whoever may write an AnalysisTemplate; the process that measures must not become that person's hand in the network:
- Link-local addresses (169.254.0.0/16, fe80::/10) and the other addresses of cloud metadata services are refused, because
  credentials are handed out there. The rule looks at the address that is connected to, after DNS and for every redirect, so no name
  leads around it.
- With an allow-list only its hosts are called. An address or network in it also lifts the ban on link-local addresses, for just
  these; a name does not, since whoever owns the name chooses the address.
- At most 1 MiB of answer is read, and compressed answers are refused: a few kilobytes can unfold into gigabytes. Of an answer that
  leads elsewhere nothing but its head is read.
- What the caller says is for the server it names: a redirect to another origin is followed without headers that may be keys (each
  vendor has its own names for them), and one that would carry the body there is not followed.
- It comes in portions, in so many pieces at most and with so much around it at most, for its framing costs more than its bytes
  (`bounded_stream`).
- A time-out covers the whole call, so an answer that drips cannot hold it open.
- There is no limit of connections: waiting for one would let slow servers delay the others. How many calls are made at once is
  limited where they are made.
- No cookie is kept and no header is added that the caller did not name, but User-Agent and Accept-Encoding.

Certificates are verified against the system's roots unless the metric says `insecure`. Proxies of the environment are not used.
"""

import asyncio
import http.client
import ipaddress
import socket
import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType
from typing import Final, Self

import httpcore
import httpx

from tidegate.bounded_stream import BoundedStream
from tidegate.connections import Connections
from tidegate.errors import TidegateError

MOST_BYTES: Final = 1024 * 1024
MOST_AROUND: Final = 256 * 1024
"""Bytes beside the body: its framing, the head, which is bounded by itself (h11: 100 KiB), and informational answers before it."""
MOST_PIECES: Final = 16 * 1024
"""Chunks of an answer, 64 bytes each if it is a mebibyte; each costs time, however small."""
MOST_REDIRECTS: Final = 10
TOLD_TO_ALL: Final = frozenset({"host", "user-agent", "accept", "accept-encoding"})
"""Headers that follow a redirect to another origin."""
LOOK_UPS: Final = 64
"""Names looked up at once. The loop's own pool has as few as five threads, and one dead name server would fill them for all."""
METADATA_SERVICES: Final = frozenset({"fd00:ec2::254", "100.100.100.200", "192.0.0.192"})  # AWS, Alibaba, Oracle


LookUp = Callable[[str, int], Sequence[str]]
"""The addresses of a host, asked for the port that is to be connected to; may take its time, and raises OSError."""


class CallFailed(TidegateError):  # noqa: N818 - reads as the fact it states
    """No answer: refused, too slow, too large, not allowed. The text names method and URL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One HTTP call. Later headers of the same name win."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    timeout: float
    insecure: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_success(self) -> bool:
        return 200 <= self.status <= 299

    @property
    def status_line(self) -> str:
        """`404 Not Found`."""
        return f"{self.status} {http.client.responses.get(self.status, '')}".rstrip()


class Outbound:
    """`async with Outbound() as outbound: await outbound.send(call)`. `allow_metadata` is for the owner of the process only.

    `allow` is a list as in TIDEGATE_OUTBOUND_ALLOW; empty allows every host.
    """

    def __init__(
        self,
        *,
        allow: Sequence[str] = (),
        allow_metadata: bool = False,
        user_agent: str = "tidegate-analyzer",
        look_up: LookUp | None = None,
    ) -> None:
        self._user_agent = user_agent
        self._look_ups = ThreadPoolExecutor(LOOK_UPS, thread_name_prefix="look-up")
        backend = _GuardedBackend(self._look_ups, Reach(allow, metadata=allow_metadata), look_up or _addresses)
        self._clients = {insecure: _client(backend, insecure=insecure) for insecure in (False, True)}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for client in self._clients.values():
            await client.aclose()
        self._look_ups.shutdown(wait=False, cancel_futures=True)

    async def send(self, call: Call) -> Answer:
        """The answer, whatever its status."""
        what = f'{call.method} "{call.url}"'
        try:
            async with asyncio.timeout(call.timeout):
                return await self._exchange(call)
        except TimeoutError as error:
            raise CallFailed(f"{what}: no answer within {call.timeout:g} s") from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            raise CallFailed(f"{what}: {error or type(error).__name__}") from error

    async def _exchange(self, call: Call) -> Answer:
        headers = httpx.Headers({"User-Agent": self._user_agent, "Accept-Encoding": "identity"})
        for name, value in call.headers:
            headers[name] = value
        # Not `client.request`: that would add the client's own headers.
        request = httpx.Request(call.method, call.url, headers=headers, content=call.body or None)
        for _ in range(MOST_REDIRECTS + 1):
            response = await self._clients[call.insecure].send(request, stream=True)
            try:
                if response.next_request is None:
                    return Answer(response.status_code, await _bounded(response), dict(response.headers))
                request = _followed(request, response.next_request)
            finally:
                await response.aclose()
        raise ValueError(f"stopped after {MOST_REDIRECTS} redirects")


def _followed(request: httpx.Request, following: httpx.Request) -> httpx.Request:
    """`following`, made by httpx from `request` and its redirect, without what is only for the server that was named."""
    if _is_told(request.url, following.url):
        return following
    if following.headers.get("content-length", "0") != "0":
        raise ValueError(f"redirected with its body to {following.url.host}, which was not named")
    for name in set(following.headers) - TOLD_TO_ALL:
        del following.headers[name]
    return following


def _is_told(before: httpx.URL, after: httpx.URL) -> bool:
    """The same origin, or the same host over TLS from now on."""
    one, other = (before.scheme, before.host, _port(before)), (after.scheme, after.host, _port(after))
    return one == other or (before.host == after.host and (one[0], one[2], other[0], other[2]) == ("http", 80, "https", 443))


def _port(url: httpx.URL) -> int | None:
    return url.port or {"http": 80, "https": 443}.get(url.scheme)


async def _bounded(response: httpx.Response) -> bytes:
    encoding = response.headers.get("content-encoding", "identity")
    if encoding != "identity":
        raise ValueError(f"the answer is encoded as {encoding}, which was not asked for")
    body, pieces = bytearray(), 0
    async for chunk in response.aiter_raw():
        body += chunk
        pieces += 1
        if len(body) > MOST_BYTES:
            raise ValueError(f"the answer is larger than {MOST_BYTES} bytes")
        if pieces > MOST_PIECES:
            raise ValueError(f"the answer comes in more than {MOST_PIECES} pieces")
    return bytes(body)


def _client(backend: httpcore.AsyncNetworkBackend, *, insecure: bool) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=_Transport(backend, insecure=insecure),
        follow_redirects=False,  # it would read, and unfold, all of an answer that leads elsewhere
        timeout=None,  # noqa: S113 - one time-out around the whole call instead of four inside it
        trust_env=False,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
    )


class _Transport(httpx.AsyncHTTPTransport):
    """httpx's own, with our connections beneath: httpx has no parameter for it, and httpx is pinned to one minor version."""

    def __init__(self, backend: httpcore.AsyncNetworkBackend, *, insecure: bool) -> None:
        trust = ssl.create_default_context()
        if insecure:
            trust.check_hostname = False
            trust.verify_mode = ssl.CERT_NONE
        super().__init__(verify=trust)
        self._pool = Connections(trust=trust, backend=backend)  # type: ignore[assignment] # it asks for no more than this has


class _GuardedBackend(httpcore.AsyncNetworkBackend):
    """Resolves a name itself and connects to the addresses it has looked at, not to what a second look-up might say."""

    def __init__(self, look_ups: Executor, reach: "Reach", look_up: LookUp) -> None:
        self._look_ups = look_ups
        self._reach = reach
        self._look_up = look_up
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in await self._addresses(host, port):
            try:
                stream = await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
                return BoundedStream(stream, most=MOST_BYTES + MOST_AROUND)
            except (httpcore.ConnectError, OSError) as error:
                failure = error
        raise failure

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def _addresses(self, host: str, port: int) -> list[str]:
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._look_ups, self._look_up, host, port)
        except OSError as error:
            raise httpcore.ConnectError(f"{host}: {error.strerror or error}") from error
        addresses = list(dict.fromkeys(found))
        if refusal := self._reach.refusal(host, addresses):
            raise httpcore.ConnectError(refusal)
        return addresses


def _addresses(host: str, port: int) -> list[str]:
    return [str(sockaddr[0]) for *_, sockaddr in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


class Reach:
    """Who may be called. Pure."""

    def __init__(self, allow: Sequence[str] = (), *, metadata: bool = False) -> None:
        self._all = not allow
        self._metadata = metadata
        self._networks = [network for each in allow if (network := _network(each)) is not None]
        self._names = [each.lower() for each in allow if _network(each) is None]

    def refusal(self, host: str, addresses: Iterable[str]) -> str:
        """Why a host with these addresses may not be called; "" if it may."""
        found = [_plain(address) for address in addresses]
        by_address = all(any(ip in network for network in self._networks) for ip in found)
        if not (self._all or by_address or self._names_it(host.lower().rstrip("."))):
            return f"{host} is not in TIDEGATE_OUTBOUND_ALLOW; metric providers may call only what is listed there"
        if not self._metadata and not by_address and any(is_metadata(str(ip)) for ip in found):
            return f"{host} is a link-local or metadata address; metric providers may not call those"
        return ""

    def _names_it(self, host: str) -> bool:
        return any(host.endswith(name[1:]) if name.startswith("*.") else host == name for name in self._names)


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def is_metadata(address: str) -> bool:
    ip = _plain(address)
    return ip.is_link_local or str(ip) in METADATA_SERVICES


def _plain(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Without a zone; an IPv4 address written as IPv6 is the IPv4 address."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    return ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None else ip

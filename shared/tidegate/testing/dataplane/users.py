"""Users of a data plane: they ask over HTTP and keep what they were answered, by whom, and what failed."""

import asyncio
import json
import math
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Self

from tidegate.testing.dataplane.network import Network
from tidegate.testing.waiting import PATIENCE, POLL, eventually

ANSWER_SECONDS = 60.0
CHANCE = 4.5
"""Standard deviations: a router that draws lots is outside of these bounds once in 150,000 samples."""
ROUND_ROBIN = 0.0


@dataclass(slots=True)
class Answers:
    """`by` counts the answers of each revision, by its pod template hash."""

    by: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    late: int = 0
    """Answered by pods that had been asked to go."""

    @property
    def total(self) -> int:
        return self.by.total() + len(self.failed)

    def __add__(self, other: "Answers") -> "Answers":
        return Answers(by=self.by + other.by, failed=self.failed + other.failed, late=self.late + other.late)

    async def until(self, condition: Callable[[], bool]) -> None:
        """While they are under load."""
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110 - counted by the tasks that ask
                await asyncio.sleep(POLL)

    def __str__(self) -> str:
        failures = ", ".join(f"{count} x {what}" for what, count in Counter(self.failed).most_common(5))
        return f"{self.total} requests: {dict(self.by)}, {self.late} by pods told to go, {len(self.failed)} failed: {failures}"


def is_within(count: int, total: int, share: float, *, sigmas: float) -> bool:
    """Whether so many of `total` are what a share gives: a binomial's bounds, or of a round that the sample cuts at both ends."""
    if 0 < share < 1 and count in (0, total):
        return False
    return abs(count - total * share) <= sigmas * math.sqrt(total * share * (1 - share)) + (2 if 0 < share < 1 else 0)


class Connection:
    """One user's: kept as long as the other side keeps it, made anew otherwise."""

    def __init__(self, network: Network, port: int) -> None:
        self._network, self._port = network, port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def get(self, host: str, headers: Mapping[str, str], into: Answers) -> None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                status, body = await self._exchange(host, headers)
        except (OSError, EOFError, TimeoutError) as error:
            await self._close()
            into.failed.append(f"{type(error).__name__} {error}")
            return
        if status != 200:
            into.failed.append(f"HTTP {status} {body[:80]!r}")
            return
        answer = json.loads(body)
        into.by[answer["hash"]] += 1
        into.late += answer["going"]

    async def _exchange(self, host: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(sock=self._network.connect(self._port))
        reader, writer = self._streams
        lines = [f"GET / HTTP/1.1\r\nhost: {host}", *(f"{name}: {text}" for name, text in headers.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
        body = await reader.readexactly(int(fields.get("content-length", 0)))
        if fields.get("connection") == "close":
            await self._close()
        return int(head.split()[1]), body

    async def _close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Users:
    """Those who come to one entrance of the data plane, under one host name. `sigmas` is how much it leaves to chance."""

    network: Network
    port: int
    host: str
    sigmas: float = ROUND_ROBIN

    async def sample(self, requests: int, *, headers: Mapping[str, str] | None = None, connections: int = 4) -> Answers:
        answers = Answers()
        async with asyncio.TaskGroup() as group:
            for share in [requests // connections] * (connections - 1) + [requests - requests // connections * (connections - 1)]:
                group.create_task(self._ask(range(share), headers or {}, answers))
        return answers

    @asynccontextmanager
    async def under_load(
        self, *, headers: Mapping[str, str] | None = None, connections: int = 4, pause: float = 0.005
    ) -> AsyncIterator[Answers]:
        """Requests all the time, until the end of the block."""
        answers = Answers()
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for _ in range(connections):
                group.create_task(self._keep_asking(headers or {}, answers, over, pause))
            try:
                yield answers
            finally:
                over.set()

    @property
    def telling(self) -> int:
        """So many requests tell 0 % from 1 %, and 1 % from 5 %."""
        return 1000 if self.sigmas == ROUND_ROBIN else 2000

    async def until_shared(self, revision: str, share: float) -> float:
        """Until the data plane has taken over what its objects say; how many seconds that took it."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        deadline = began + PATIENCE
        while True:
            looked = loop.time()
            answers = await self.sample(400 if self.sigmas == ROUND_ROBIN else self.telling)
            if self.shows(answers, revision, share):
                return looked - began
            assert loop.time() < deadline, f"{self.host} never gave {revision} {share:.0%}; at last: {answers}"
            await asyncio.sleep(POLL)

    async def given(self, revision: str, share: float, *, headers: Mapping[str, str] | None = None) -> Answers:
        """So many answers that they tell one share from another, from between two changes: with each that a router takes over, of
        whomever, it begins its rounds anew."""
        answers = await eventually(
            lambda: self.sample(self.telling, headers=headers),
            lambda seen: seen.failed or self.shows(seen, revision, share),
            what=f"{self.host} to give {revision} {share:.0%}",
        )
        assert not answers.failed, str(answers)
        return answers

    def shows(self, answers: Answers, revision: str, share: float) -> bool:
        return not answers.failed and is_within(answers.by[revision], answers.total, share, sigmas=self.sigmas)

    async def _ask(self, times: Iterable[int], headers: Mapping[str, str], answers: Answers) -> None:
        async with Connection(self.network, self.port) as connection:
            for _ in times:
                await connection.get(self.host, headers, answers)

    async def _keep_asking(self, headers: Mapping[str, str], answers: Answers, over: asyncio.Event, pause: float) -> None:
        async with Connection(self.network, self.port) as connection:
            while not over.is_set():
                await connection.get(self.host, headers, answers)
                await asyncio.sleep(pause)

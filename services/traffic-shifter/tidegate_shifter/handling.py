"""A `TrafficRequested` from the bus: is it still to be done, do it, answer, look again while that is worthwhile.

A message only wakes. What is carried out is the newest request that the stream holds (it keeps the last one per rollout), and
after carrying it out the stream is read again: had this replica been stalled while another one served a newer request, its
late write is put right here, or, should it die first, by the redelivery of the very message it had not acknowledged.

Whoever waits for a router, a plugin that is silent or a data plane that needs its two seconds, looks meanwhile whether something
else is wanted by now: an abort does not wait for the end of what it takes back.

Acknowledged (by returning) only after the answer is stored, which is what `fence.py` relies on: the newest answer of a rollout
is the durable memory of the newest decision that was carried out, also where carrying it out changed nothing.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

import structlog

from tidegate.bus import Envelope, Received
from tidegate.config import Settings
from tidegate.errors import KubeError, Retry
from tidegate.keys import INSTANCE_ID
from tidegate.kube.kinds import ROLLOUT
from tidegate.messages import TRAFFIC, EventsRecorded, Message, Record, TrafficApplied, TrafficRequested, subject_token
from tidegate_shifter.shift import Shift, Shifter
from tidegate_shifter.writing import Api, Target, read

PATIENCE: Final = timedelta(minutes=10)
"""How long one request is tried and observed again. Controllers take over a route within seconds; what takes longer is asked for
anew by the planner's resync, and a newer request ends the waiting at once."""

LOOK_SECONDS: Final = 0.25
"""Between two looks for a newer request while one is carried out; most are done before the first."""

log = structlog.get_logger(__name__)


class Post(Protocol):
    """The part of `Bus` that is used here."""

    async def publish(self, message: Message, *, cause: Envelope | None = None) -> Envelope: ...

    async def last(self, stream: str, subject: str) -> Received | None: ...


class Handling:
    """The handler. `told` holds what was answered to requests that are being looked at again, so that only news is published."""

    def __init__(
        self,
        *,
        kube: Api,
        bus: Post,
        shifter: Shifter,
        settings: Settings,
        clock: Callable[[], datetime],
        look: float = LOOK_SECONDS,
    ) -> None:
        self._kube = kube
        self._bus = bus
        self._shifter = shifter
        self._settings = settings
        self._clock = clock
        self._look = look
        self._told: dict[tuple[str, str], tuple[str, TrafficApplied]] = {}

    async def __call__(self, request: TrafficRequested, envelope: Envelope) -> None:
        done = -1
        while True:
            request, envelope = await self._newest(request, envelope)
            if request.fence <= done:
                break
            if reason := await self._reason_to_drop(request):
                log.info("shift.dropped", rollout=f"{request.namespace}/{request.name}", fence=request.fence, reason=reason)
                return
            carried_out = await self._carried_out(request, envelope)
            if carried_out is not None:
                shift, done = carried_out, request.fence
                await self._record(shift, request, envelope)
        await self._answer(shift, envelope)

    async def _carried_out(self, request: TrafficRequested, envelope: Envelope) -> Shift | None:
        """None if something else came to be wanted: it is left where it waits, and what it did is told."""
        did: list[Record] = []
        carrying = asyncio.create_task(self._shifter.shift(request, did=did.append))
        try:
            while not (await asyncio.wait({carrying}, timeout=self._look))[0]:
                if await self._is_overtaken(request, envelope):
                    break
            else:
                return carrying.result()
        finally:
            carrying.cancel()
            await asyncio.wait({carrying})  # a write that began is seen through
        await self._tell(did, request, envelope)
        return None

    async def _is_overtaken(self, request: TrafficRequested, envelope: Envelope) -> bool:
        """The same traffic asked for again, for a later decision, is no reason to begin anew."""
        try:
            newest, _ = await self._newest(request, envelope)
        except Retry:  # NATS is away, which says nothing about what is wanted
            return False
        return _wish(newest) != _wish(request)

    async def _newest(self, request: TrafficRequested, envelope: Envelope) -> tuple[TrafficRequested, Envelope]:
        found = await self._bus.last(TRAFFIC, request.subject_of())
        if found is not None and isinstance(found.message, TrafficRequested) and found.message.fence > request.fence:
            return found.message, found.envelope
        return request, envelope

    async def _record(self, shift: Shift, request: TrafficRequested, envelope: Envelope) -> None:
        """What was done is told each time, what stood in the way only while it is news: a request is tried for minutes."""
        known = self._told.get((request.namespace, request.name)) == (envelope.id, shift.answer)
        await self._tell([record for record in shift.records if not known or record.type == "Normal"], request, envelope)

    async def _tell(self, records: Sequence[Record], request: TrafficRequested, envelope: Envelope) -> None:
        if records:
            events = EventsRecorded(
                namespace=request.namespace,
                name=request.name,
                service="traffic-shifter",
                uid=request.uid,
                at=self._clock(),
                records=tuple(records),
            )
            await self._bus.publish(events, cause=envelope)

    async def _answer(self, shift: Shift, envelope: Envelope) -> None:
        answer = shift.answer
        key = (answer.namespace, answer.name)
        if self._told.get(key) != (envelope.id, answer):
            await self._bus.publish(answer, cause=envelope)
        if shift.again and _age(envelope, self._clock()) < PATIENCE:
            self._told[key] = (envelope.id, answer)
            raise Retry(shift.again)
        self._told.pop(key, None)

    async def _reason_to_drop(self, request: TrafficRequested) -> str:
        """Why a request is no longer, or never was, to be carried out here; "" if it is.

        The Rollout is read anew: its uid tells a request of a deleted Rollout from one of its namesake, which no fence can.
        """
        if self._settings.namespace not in (None, request.namespace):
            return f"this traffic-shifter serves namespace {self._settings.namespace} only"
        try:
            rollout = await read(self._kube, Target(ROLLOUT, request.namespace, request.name))
        except KubeError as error:
            raise Retry(f"Rollout {request.namespace}/{request.name} could not be read: {error}") from error
        if rollout is None or rollout["metadata"].get("uid") != request.uid:
            return f"there is no Rollout with uid {request.uid}"
        instance = (rollout["metadata"].get("labels") or {}).get(INSTANCE_ID, "")
        if instance != self._settings.instance_id:
            return f"the Rollout belongs to instance {instance!r}, this is {self._settings.instance_id!r}"
        answered = await self._last_answer(request)
        if answered is not None and answered.uid == request.uid and answered.fence > request.fence:
            return f"decision {answered.fence} was carried out already"
        return ""

    async def _last_answer(self, request: TrafficRequested) -> TrafficApplied | None:
        subject = TrafficApplied.subject.format(namespace=subject_token(request.namespace), name=subject_token(request.name))
        found = await self._bus.last(TRAFFIC, subject)
        return found.message if found is not None and isinstance(found.message, TrafficApplied) else None


def _wish(request: TrafficRequested) -> tuple[object, ...]:
    return request.uid, request.services, request.routers, request.split


def _age(envelope: Envelope, now: datetime) -> timedelta:
    """How long ago it was asked; a sender that does not say when gets no second look."""
    try:
        return now - datetime.fromisoformat(envelope.time)
    except (ValueError, TypeError):
        return PATIENCE

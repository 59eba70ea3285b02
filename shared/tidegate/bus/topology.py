"""Every stream and every durable consumer of the suite, declared as data (DESIGN.md 4), and the way to make the server agree.

No stream holds a truth: each can be deleted at any moment and is made again here. So a setting that the server refuses to
change is handled without an error: a consumer is made anew (its messages come again, handlers are idempotent); a stream is
made anew if it is empty, else it stays as it is and a warning says how to migrate it.

Settings that belong to the operator are left as found: replicas, placement, storage.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args

import structlog
from nats.js import JetStreamContext, api
from nats.js.errors import APIError, BadRequestError, NotFoundError, ServerError

from tidegate.bus.subjects import MAX_BODY, wildcard
from tidegate.messages import (
    ANALYSIS,
    OUTCOMES,
    PLUGINS,
    REQUESTS,
    TRAFFIC,
    AnalysisConcluded,
    AnalysisMeasured,
    AnalysisRequested,
    EventsRecorded,
    Message,
    MetricAnswered,
    OutcomeVerb,
    RolloutCommanded,
    RolloutOutcome,
    RolloutRequested,
    RouterAnswered,
    StepAnswered,
    TrafficApplied,
    TrafficRequested,
)  # fmt: skip

DEAD = "TIDEGATE_DEAD"
DEAD_SUBJECT = "tidegate.dead.{consumer}"

HOUR = 3600.0
DAY = 24 * HOUR
MIB = 1024 * 1024
DUPLICATE_WINDOW = 120.0
ACK_WAIT = 2.0
"""What a killed replica had in hand comes to another one after so long, so its share is taken over within three seconds. A living
one says three times meanwhile that it is at it; if its loop stands still for longer, both do the same, which is as good as once."""
MAX_ACK_PENDING = 1000
HEADER_ROOM = 16 * 1024  # max_msg_size counts headers and body

_NAME_IN_USE = 10058
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """`per_subject`: how many messages of one subject are kept; `refuse`: more are refused, where else the oldest is dropped."""

    name: str
    subjects: tuple[str, ...]
    description: str
    max_age: float
    max_bytes: int
    retention: Literal["limits", "workqueue"] = "limits"
    per_subject: int = -1
    refuse: bool = False
    max_body: int = MAX_BODY


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """A durable pull consumer, shared by the replicas of one service.

    `coalesce`: of several waiting messages of one key only the newest is handled. `replay`: how far back, in seconds, a
    consumer that had to be made anew starts; None means from the beginning (work queues, last values). `answers`: its service
    also serves the request/reply door for these messages.
    """

    name: str
    service: str
    stream: str
    messages: tuple[type[Message], ...]
    description: str
    coalesce: bool = False
    answers: bool = False
    replay: float | None = None
    concurrency: int = 256
    ack_wait: float = ACK_WAIT

    @property
    def filters(self) -> tuple[str, ...]:
        return tuple(wildcard(message) for message in self.messages)


STREAMS: tuple[Stream, ...] = (
    Stream(
        name=REQUESTS,
        subjects=(wildcard(RolloutRequested), wildcard(RolloutCommanded)),
        description="what people and delivery tools ask for; gone once handled",
        retention="workqueue",
        max_age=HOUR,  # a promote or an abort that acts long after it was asked for would surprise its sender
        max_bytes=64 * MIB,
        per_subject=100,
        refuse=True,  # one sender in a loop is refused at the server and delays nobody else
    ),
    Stream(
        name=TRAFFIC,
        subjects=(wildcard(TrafficRequested), wildcard(TrafficApplied)),
        description="the asked and the observed traffic of each rollout: the last value",
        max_age=7 * DAY,
        max_bytes=128 * MIB,
        per_subject=1,
    ),
    Stream(
        name=ANALYSIS,
        subjects=(wildcard(AnalysisRequested), wildcard(AnalysisMeasured), wildcard(AnalysisConcluded)),
        description="analysis runs asked for, measured, concluded",
        max_age=3 * DAY,
        max_bytes=128 * MIB,
        per_subject=1000,
    ),
    Stream(
        name=OUTCOMES,
        subjects=(
            *(wildcard(RolloutOutcome).replace("*", verb, 1) for verb in get_args(OutcomeVerb)),  # not requested, not command
            "tidegate.recorded.>",
        ),
        description="what happened: the replayable audit log",
        max_age=30 * DAY,
        max_bytes=512 * MIB,
        per_subject=1000,
    ),
    Stream(
        name=PLUGINS,
        subjects=(wildcard(StepAnswered), wildcard(RouterAnswered), wildcard(MetricAnswered)),
        description="what plugins answered; what they are asked is repeated until then, and not stored",
        max_age=HOUR,
        max_bytes=64 * MIB,
        per_subject=1,
    ),
    Stream(
        name=DEAD,
        subjects=("tidegate.dead.*",),
        description="messages that could not be handled, each with the reason",
        max_age=14 * DAY,
        max_bytes=64 * MIB,
        max_body=MAX_BODY + 128 * 1024,  # the letter's own headers carry the reason and the original ones
    ),
)

PLANNER_REQUESTS = Consumer(
    name="planner-requests",
    service="planner",
    stream=REQUESTS,
    messages=(RolloutRequested, RolloutCommanded),
    answers=True,
    description="changes and commands, carried out on the Rollout",
)
SHIFTER_REQUESTS = Consumer(
    name="shifter-requests",
    service="traffic-shifter",
    stream=TRAFFIC,
    messages=(TrafficRequested,),
    coalesce=True,
    description="splits to be made so",
)
ANALYZER_REQUESTS = Consumer(
    name="analyzer-requests",
    service="analyzer",
    stream=ANALYSIS,
    messages=(AnalysisRequested,),
    replay=HOUR,
    description="analysis runs to create or to end",
)
NOTIFIER_EVENTS = Consumer(
    name="notifier-events",
    service="notifier",
    stream=OUTCOMES,
    messages=(EventsRecorded,),
    replay=HOUR,  # Kubernetes itself forgets Events after an hour
    concurrency=16,  # each writes up to a dozen Events at once; more would only wait, in memory
    description="records to be written as core Events",
)
NOTIFIER_OUTCOMES = Consumer(
    name="notifier-outcomes",
    service="notifier",
    stream=OUTCOMES,
    messages=(RolloutOutcome,),
    replay=HOUR,
    description="outcomes to be told to the outside",
)
PLANNER_ANSWERS, SHIFTER_ANSWERS, ANALYZER_ANSWERS = "planner-answers", "traffic-shifter-answers", "analyzer-answers"
"""Letter boxes of the feeds that hear plugins: what nobody can read is put aside there."""
CONSUMERS: tuple[Consumer, ...] = (PLANNER_REQUESTS, SHIFTER_REQUESTS, ANALYZER_REQUESTS, NOTIFIER_EVENTS, NOTIFIER_OUTCOMES)


async def ensure(
    js: JetStreamContext, consumers: Iterable[Consumer] = (), *, streams: Iterable[Stream] = STREAMS, replicas: int = 1
) -> None:
    """Create what is missing and migrate what differs. Idempotent, and safe when all services do it at once."""
    for stream in streams:
        await ensure_stream(js, stream, replicas=replicas)
    for consumer in consumers:
        await ensure_consumer(js, consumer)


async def ensure_stream(js: JetStreamContext, stream: Stream, *, replicas: int = 1) -> None:
    wanted = _stream_settings(stream)
    try:
        await js.add_stream(api.StreamConfig(name=stream.name, storage=api.StorageType.FILE, num_replicas=replicas, **wanted))
    except APIError as error:
        if error.err_code != _NAME_IN_USE:
            raise
        await _migrate_stream(js, stream, wanted)


async def _migrate_stream(js: JetStreamContext, stream: Stream, wanted: dict[str, Any]) -> None:
    found = await js.stream_info(stream.name)
    changes = {name: value for name, value in wanted.items() if getattr(found.config, name) != value}
    if not changes:
        return
    try:
        await js.update_stream(found.config.evolve(**changes))
        log.info("bus.stream_migrated", stream=stream.name, settings=sorted(changes))
    except APIError as error:
        if found.state.messages:
            log.warning(
                "bus.stream_kept", stream=stream.name, settings=sorted(changes), reason=error.description,
                hint=f"it holds {found.state.messages} messages; `nats stream rm {stream.name}` lets it be made anew",
            )  # fmt: skip
            return
        await _delete_stream(js, stream.name)
        await js.add_stream(api.StreamConfig(name=stream.name, storage=found.config.storage, **wanted))
        log.info("bus.stream_made_anew", stream=stream.name, settings=sorted(changes), reason=error.description)


async def _delete_stream(js: JetStreamContext, name: str) -> None:
    with suppress(NotFoundError):  # another service was faster
        await js.delete_stream(name)


def _stream_settings(stream: Stream) -> dict[str, Any]:
    return {
        "subjects": sorted(stream.subjects),
        "description": stream.description,
        "retention": api.RetentionPolicy(stream.retention),
        "max_age": stream.max_age,
        "max_bytes": stream.max_bytes,
        "max_msgs_per_subject": stream.per_subject,
        "discard": api.DiscardPolicy.NEW if stream.refuse else api.DiscardPolicy.OLD,
        "discard_new_per_subject": stream.refuse,
        "max_msg_size": stream.max_body + HEADER_ROOM,
        "duplicate_window": DUPLICATE_WINDOW,
    }


async def ensure_consumer(js: JetStreamContext, consumer: Consumer) -> None:
    wanted = _consumer_settings(consumer)
    try:
        found = (await js.consumer_info(consumer.stream, consumer.name)).config
    except NotFoundError:
        await _create_consumer(js, consumer, wanted)
        return
    changes = {name: value for name, value in wanted.items() if getattr(found, name) != value}
    if not changes:
        return
    try:
        await js.add_consumer(consumer.stream, found.evolve(**changes))
        log.info("bus.consumer_migrated", consumer=consumer.name, settings=sorted(changes))
    except (BadRequestError, ServerError) as error:
        with suppress(NotFoundError):  # another replica was faster
            await js.delete_consumer(consumer.stream, consumer.name)
        await _create_consumer(js, consumer, wanted)
        log.info("bus.consumer_made_anew", consumer=consumer.name, settings=sorted(changes), reason=error.description)


async def _create_consumer(js: JetStreamContext, consumer: Consumer, wanted: dict[str, Any]) -> None:
    try:
        await js.add_consumer(consumer.stream, api.ConsumerConfig(**wanted, **_start(consumer)))
    except (BadRequestError, ServerError):
        # Another replica was faster, with a start time some milliseconds before ours: any is good. Else this raises again.
        await js.consumer_info(consumer.stream, consumer.name)


def _consumer_settings(consumer: Consumer) -> dict[str, Any]:
    filters = list(consumer.filters)
    return {
        "name": consumer.name,
        "durable_name": consumer.name,
        "description": consumer.description,
        "ack_policy": api.AckPolicy.EXPLICIT,
        "ack_wait": consumer.ack_wait,
        "max_deliver": -1,  # the limit is ours (consumer.py): the server's would drop the message without a letter
        "max_ack_pending": MAX_ACK_PENDING,
        "filter_subject": filters[0] if len(filters) == 1 else None,
        "filter_subjects": filters if len(filters) > 1 else None,
    }


def _start(consumer: Consumer) -> dict[str, Any]:
    if consumer.replay is None:
        return {"deliver_policy": api.DeliverPolicy.ALL}
    since = datetime.now(UTC) - timedelta(seconds=consumer.replay)  # noqa: TID251 - part of the shell
    return {"deliver_policy": api.DeliverPolicy.BY_START_TIME, "opt_start_time": since}

"""Messages into notes. Pure: a redelivered message gives the same notes with the same ids and times."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from tidegate.bus import Envelope
from tidegate.messages import EventsRecorded, RolloutOutcome
from tidegate_notifier.channel import About, Note

_BAD_NEWS = frozenset({"aborted", "rolled-back", "degraded"})
_TICK = timedelta(microseconds=1)


def record_notes(message: EventsRecorded, envelope: Envelope) -> tuple[Note, ...]:
    """One note per record. They share the message's time but for a microsecond each, which keeps their order for readers."""
    about = About(kind=message.kind, namespace=message.namespace, name=message.name, uid=message.uid)
    at = _utc(message.at)
    return tuple(
        Note(
            id=f"{envelope.id}.{place}",
            about=about,
            type=record.type,
            reason=record.reason,
            text=record.message,
            at=at + place * _TICK,
            envelope=envelope,
            data=record,
        )
        for place, record in enumerate(message.records)
    )


def outcome_note(outcome: RolloutOutcome, envelope: Envelope, *, now: datetime) -> Note:
    """`now` stands in where a foreign sender gave no time. Attributes that CloudEvents requires are filled in where absent."""
    whole = replace(
        envelope,
        source=envelope.source or "/tidegate",
        type=envelope.type or outcome.type.format_map(dict(outcome)),
        subject=envelope.subject or f"{outcome.namespace}/{outcome.name}",
    )
    return Note(
        id=envelope.id,
        about=About(kind="Rollout", namespace=outcome.namespace, name=outcome.name, uid=outcome.uid),
        type="Warning" if outcome.verb in _BAD_NEWS else "Normal",
        reason=outcome.verb,
        text=outcome.message or sentence(outcome),
        at=_time_of(envelope) or now,
        envelope=whole,
        data=outcome,
    )


def sentence(outcome: RolloutOutcome) -> str:
    """What happened, in words, where the sender gave none."""
    words = f"rollout {outcome.namespace}/{outcome.name} revision {outcome.revision}: {outcome.verb}"
    if outcome.step is not None and outcome.steps:
        words += f" (step {outcome.step + 1} of {outcome.steps})"
    return words + (f" at {outcome.weight} %" if outcome.weight is not None else "")


def _time_of(envelope: Envelope) -> datetime | None:
    try:
        return _utc(datetime.fromisoformat(envelope.time))
    except ValueError:
        return None


def _utc(at: datetime) -> datetime:
    """A time without a zone is taken as UTC, as Kubernetes would."""
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)

"""Messages into notes. Pure: the same message gives the same notes with the same ids, so a redelivery repeats them exactly."""

from datetime import datetime

from tidegate.bus.envelope import Envelope, structured
from tidegate.messages import EventsRecorded, RolloutOutcome
from tidegate_notifier.channel import About, Note

_WARNINGS = frozenset({"aborted", "rolled-back", "degraded"})


def notes_of_records(message: EventsRecorded, envelope: Envelope) -> tuple[Note, ...]:
    """One note per record, in order. The id is the message's and the record's place in it."""
    about = About(kind=message.kind, namespace=message.namespace, name=message.name, uid=message.uid)
    return tuple(
        Note(
            id=f"{envelope.id}.{place}",
            about=about,
            type=record.type,
            reason=record.reason,
            text=record.message,
            at=message.at,
            event=structured(envelope, record.model_dump(mode="json")),
        )
        for place, record in enumerate(message.records)
    )


def note_of_outcome(outcome: RolloutOutcome, envelope: Envelope, *, now: datetime) -> Note:
    """`now` stands in where a foreign sender gave no time; it is not part of what channels compare."""
    return Note(
        id=envelope.id,
        about=About(kind="Rollout", namespace=outcome.namespace, name=outcome.name, uid=outcome.uid),
        type="Warning" if outcome.verb in _WARNINGS else "Normal",
        reason=outcome.verb,
        text=outcome.message or sentence(outcome),
        at=time_of(envelope) or now,
        event=structured(envelope, outcome.model_dump(mode="json")),
    )


def sentence(outcome: RolloutOutcome) -> str:
    """What happened, in words, where the planner gave none."""
    words = f"rollout {outcome.namespace}/{outcome.name} revision {outcome.revision}: {outcome.verb}"
    if outcome.step is not None and outcome.steps:
        words += f" (step {outcome.step + 1} of {outcome.steps})"
    return words + (f" at {outcome.weight} %" if outcome.weight is not None else "")


def time_of(envelope: Envelope) -> datetime | None:
    try:
        return datetime.fromisoformat(envelope.time)
    except ValueError:
        return None

"""A note as what goes over the wire: the core Event, the CloudEvent. Pure; golden files in tests/unit/notifier hold the bytes."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import orjson

from tidegate.bus.envelope import structured
from tidegate.keys import API_VERSION
from tidegate_notifier.channel import Note

COMPONENT = "rollouts-controller"  # what tools of the peer filter by (`argo-behaviour.md` 12.3)
REPORTER = "tidegate"
INSTANCE = "tidegate-notifier"  # no pod's name: whichever replica writes an Event, it is the same

_NAME_LENGTH = 253
_TEXT_BYTES = 1024  # the API server's limit for an Event with an eventTime
_ID_LENGTH = 512  # receivers and proxies commonly take 8 KiB of headers in all
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def core_event(note: Note) -> dict[str, Any]:
    """The core/v1 Event of a note."""
    about = note.about
    seconds = note.at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": event_name(note), "namespace": about.namespace},
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": about.kind,
            "namespace": about.namespace,
            "name": about.name,
            "uid": about.uid,
        },
        "type": note.type,
        "reason": note.reason,
        "action": note.reason,
        "message": shortened(note.text, _TEXT_BYTES),
        "source": {"component": COMPONENT},
        "reportingComponent": REPORTER,
        "reportingInstance": INSTANCE,
        "count": 1,
        "firstTimestamp": seconds,
        "lastTimestamp": seconds,
        "eventTime": note.at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    }


def event_name(note: Note) -> str:
    """`<object>.<16 hex digits>`, the same for the same note.

    13 digits are microseconds (enough until 2112), because lists come in the order of names and readers want that of time;
    3 are of the note's id, for two messages about one object within the same microsecond.
    """
    microseconds = (note.at - _EPOCH) // _MICROSECOND
    digest = int.from_bytes(hashlib.blake2b(note.id.encode(), digest_size=2).digest())
    suffix = f".{microseconds & 0xFFFFFFFFFFFFF:013x}{digest & 0xFFF:03x}"
    return note.about.name[: _NAME_LENGTH - len(suffix)].rstrip("-.") + suffix


def shortened(text: str, limit: int) -> str:
    """The text in at most `limit` bytes of UTF-8. The whole of it is in the object's status."""
    encoded = text.encode()
    if len(encoded) <= limit:
        return text
    return encoded[: limit - len("…".encode())].decode(errors="ignore") + "…"


def cloud_event(note: Note) -> bytes:
    """The event in CloudEvents' JSON format, structured mode."""
    return orjson.dumps(structured(replace(note.envelope, id=note.id), note.data.model_dump(mode="json")))


def webhook_id(note: Note) -> str:
    """The note's id as a header's value; percent-decoded it is the event's id.

    Dots are encoded too: the signature covers `id.timestamp.body`, and Standard Webhooks wants no dot in an id that others have a
    say in. An id of unusual length is named by its digest.
    """
    encoded = quote(note.id, safe="/:@+=,~").replace(".", "%2E")
    return encoded if len(encoded) <= _ID_LENGTH else f"sha256:{hashlib.sha256(note.id.encode()).hexdigest()}"

"""CloudEvents 1.0 in NATS headers: binary mode out, binary and structured mode in. Pure: no I/O, no clock, no randomness.

Source: CloudEvents 1.0.2 and its NATS protocol binding: each attribute is a header `ce-<name>`; space, '"', '%' and all that
is not printable ASCII are percent-encoded as UTF-8. Extensions used: correlation (`correlationid`, `causationid`),
`authid` (who asked), `traceparent`. `Nats-Msg-Id` is the event's id, so the stream drops a repeat inside its window.

Senders in other languages may leave every header out; `decoded` then fills what the bus needs from the place of arrival.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

import orjson

from tidegate.errors import GiveUp

REPLY_HEADER = "tidegate-reply"
MESSAGE_ID = "Nats-Msg-Id"
STRUCTURED = "application/cloudevents"  # a prefix: the binding asks for nothing more

_UNSAFE = re.compile(r"[^!#$&-~]")  # all but printable ASCII without space, '"' and '%'
_INBOX = re.compile(r"^_INBOX[A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)+$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """The attributes of one event. `subject` is the object's `namespace/name`; `time` is RFC 3339; "" means absent."""

    id: str
    source: str = ""
    type: str = ""
    subject: str = ""
    time: str = ""
    correlation: str = ""
    causation: str = ""
    authid: str = ""
    traceparent: str = ""
    reply: str = ""


_HEADERS = {
    "id": "ce-id", "source": "ce-source", "type": "ce-type", "subject": "ce-subject", "time": "ce-time",
    "correlation": "ce-correlationid", "causation": "ce-causationid", "authid": "ce-authid",
    "traceparent": "ce-traceparent",
}  # fmt: skip


def encoded(envelope: Envelope) -> dict[str, str]:
    """The headers of a message; the body is the event's data as JSON."""
    headers = {"ce-specversion": "1.0", "ce-datacontenttype": "application/json", MESSAGE_ID: _percent_encoded(envelope.id)}
    for field, header in _HEADERS.items():
        value: str = getattr(envelope, field)
        if value:
            headers[header] = _percent_encoded(value)
    if envelope.reply:
        headers[REPLY_HEADER] = envelope.reply
    if envelope.traceparent:
        headers["traceparent"] = headers["ce-traceparent"]  # where OpenTelemetry's NATS instrumentation looks
    return headers


def decoded(headers: Mapping[str, str] | None, *, fallback_id: str = "") -> Envelope:
    """The envelope of headers in any letter case. A reply subject that is no inbox is dropped (see `inbox_or_none`)."""
    given = {name.lower(): value for name, value in (headers or {}).items()}
    values = {field: unquote(given.get(header, "")) for field, header in _HEADERS.items()}
    values["id"] = values["id"] or unquote(given.get(MESSAGE_ID.lower(), "")) or fallback_id
    values["traceparent"] = values["traceparent"] or given.get("traceparent", "")
    return Envelope(**values, reply=inbox_or_none(given.get(REPLY_HEADER)) or "")


def inbox_or_none(subject: str | None) -> str | None:
    """A reply subject if it is an inbox.

    The sender chooses it and a service with wider permissions publishes to it, so anything else (`$JS.API.>`, our own
    subjects) would lend the sender those permissions.
    """
    return subject if subject and _INBOX.match(subject) else None


def unwrapped(headers: Mapping[str, str] | None, body: bytes) -> tuple[dict[str, str], bytes]:
    """Headers and data of an event that came in structured mode, as if it had come in binary mode; others pass unchanged."""
    given = dict(headers or {})
    kind = next((value for name, value in given.items() if name.lower() == "content-type"), "")
    if not kind.startswith(STRUCTURED):
        return given, body
    try:
        event = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise GiveUp(f"the body is not JSON although its content type is {STRUCTURED}: {error}") from error
    if not isinstance(event, dict) or not isinstance(event.get("data"), dict):
        raise GiveUp(f"a {STRUCTURED} body must be an object whose `data` is an object")
    attributes = {f"ce-{name}": _percent_encoded(str(value)) for name, value in event.items() if name != "data"}
    return given | attributes, orjson.dumps(event["data"])


def structured(envelope: Envelope, data: Mapping[str, object]) -> dict[str, object]:
    """The event as one JSON object, for transports without headers of their own (webhooks)."""
    attributes = {header.removeprefix("ce-"): getattr(envelope, field) for field, header in _HEADERS.items()}
    known = {name: value for name, value in attributes.items() if value}
    return {"specversion": "1.0", "datacontenttype": "application/json", **known, "data": data}


def _percent_encoded(text: str) -> str:
    return _UNSAFE.sub(lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode()), text)

"""docs/asyncapi.yaml and docs/schemas/*.json, made from `tidegate.messages` and `topology`: `python -m tidegate.bus.document`.

A snapshot test compares them with what is checked in, so a change of the wire shows in review.
"""

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import yaml

from tidegate.bus.envelope import REPLY_HEADER
from tidegate.bus.subjects import ASK
from tidegate.bus.topology import CONSUMERS, STREAMS
from tidegate.messages import (
    MESSAGES,
    AnalysisConcluded,
    AnalysisMeasured,
    AnalysisRequested,
    EventsRecorded,
    Message,
    MetricAnswered,
    MetricRequested,
    RequestAnswered,
    RolloutCommanded,
    RolloutOutcome,
    RolloutRequested,
    RouterAnswered,
    RouterRequested,
    StepAnswered,
    StepRequested,
    TrafficApplied,
    TrafficRequested,
)

ANYONE = "anyone"
PLUGIN = "plugin"

SENDERS: Mapping[type[Message], tuple[str, ...]] = {
    RolloutRequested: (ANYONE,),
    RolloutCommanded: (ANYONE,),
    RequestAnswered: ("planner",),
    TrafficRequested: ("planner",),
    TrafficApplied: ("traffic-shifter",),
    AnalysisRequested: ("planner",),
    AnalysisMeasured: ("analyzer",),
    AnalysisConcluded: ("analyzer",),
    RolloutOutcome: ("planner",),
    EventsRecorded: ("planner", "traffic-shifter", "analyzer"),
    StepRequested: ("planner",),
    StepAnswered: (PLUGIN,),
    RouterRequested: ("traffic-shifter",),
    RouterAnswered: (PLUGIN,),
    MetricRequested: ("analyzer",),
    MetricAnswered: (PLUGIN,),
}

WOKEN: Mapping[type[Message], tuple[str, ...]] = {
    TrafficApplied: ("planner",),
    AnalysisMeasured: ("planner",),
    AnalysisConcluded: ("planner",),
    RolloutOutcome: (ANYONE,),
    RequestAnswered: (ANYONE,),
    StepRequested: (PLUGIN,),
    StepAnswered: ("planner",),
    RouterRequested: (PLUGIN,),
    RouterAnswered: ("traffic-shifter",),
    MetricRequested: (PLUGIN,),
    MetricAnswered: ("analyzer",),
}
"""Who hears a message in every replica (a feed) or as it is sent, beside the durable consumers of `topology`."""

_PARAMETERS = {
    "namespace": "the Kubernetes namespace",
    "name": "the object's name, '.' written as '_'",
    "verb": "what is to happen, or what happened",
    "service": "who recorded it",
    "plugin": "the plugin's <owner>/<name>, '.' written as '_'",
    "id": "names the call that is answered",
}


def receivers(message: type[Message]) -> tuple[str, ...]:
    durable = [consumer.service for consumer in CONSUMERS if message in consumer.messages]
    return (*durable, *WOKEN.get(message, ()))


def schema(message: type[Message]) -> dict[str, Any]:
    """The JSON Schema of a message's body, as a document of its own."""
    body = message.model_json_schema(mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"tidegate:{message.__name__}", **body}


def asyncapi() -> dict[str, Any]:
    """The whole bus as one AsyncAPI 3.0 document."""
    stored = [message for message in MESSAGES if message.subject]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Tidegate's bus",
            "version": "1.0.0",
            "description": "CloudEvents 1.0 (binary mode) over NATS JetStream; bus.md holds the promises and examples.",
        },
        "defaultContentType": "application/json",
        "servers": {"nats": {"host": "{host}", "protocol": "nats", "variables": {"host": {"default": "127.0.0.1:4222"}}}},
        "channels": {message.__name__: _channel(message) for message in stored} | {"RequestAnswered": _inbox()},
        "operations": {name: operation for message in MESSAGES for name, operation in _operations(message).items()},
        "components": {
            "messages": {message.__name__: _message(message) for message in MESSAGES},
            "schemas": {name: body for message in MESSAGES for name, body in _schemas(message).items()},
        },
    }


def _channel(message: type[Message]) -> dict[str, Any]:
    stream = next((stream for stream in STREAMS if stream.name == message.stream), None)
    kept = f"Stream {stream.name} ({stream.retention}): {stream.description}." if stream else "Not stored: repeated until answered."
    parameters = re.findall(r"{(\w+)}", message.subject)
    return {
        "address": message.subject,
        "description": kept,
        "messages": {message.__name__: {"$ref": f"#/components/messages/{message.__name__}"}},
        "parameters": {name: _parameter(message, name) for name in parameters},
    }


def _inbox() -> dict[str, Any]:
    return {
        "address": None,
        "description": f"The inbox a request names in its header {REPLY_HEADER}, or the reply subject of a `{ASK}` request.",
        "messages": {"RequestAnswered": {"$ref": "#/components/messages/RequestAnswered"}},
    }


def _parameter(message: type[Message], name: str) -> dict[str, Any]:
    described = {"description": _PARAMETERS[name]}
    words = message.model_json_schema()["properties"][name].get("enum")
    return described | ({"enum": words} if words else {})


def _operations(message: type[Message]) -> dict[str, dict[str, Any]]:
    name = message.__name__
    channel = {"channel": {"$ref": f"#/channels/{name}"}}
    answer = next((each.__name__ for each in MESSAGES if message.reply and each.subject == message.reply), "")
    answer = answer or ("RequestAnswered" if SENDERS[message] == (ANYONE,) else "")
    reply = {"reply": {"channel": {"$ref": f"#/channels/{answer}"}}} if answer else {}
    return {
        **{f"{who}.sends.{name}": {"action": "send", **channel, **reply} for who in SENDERS[message]},
        **{f"{who}.receives.{name}": {"action": "receive", **channel} for who in receivers(message)},
    }


def _message(message: type[Message]) -> dict[str, Any]:
    return {
        "name": message.type,
        "title": message.__name__,
        "summary": (message.__doc__ or "").strip().splitlines()[0],
        "contentType": "application/json",
        "headers": {"$ref": "#/components/schemas/CloudEvent"},
        "payload": {"$ref": f"#/components/schemas/{message.__name__}"},
    }


def _schemas(message: type[Message]) -> dict[str, Any]:
    body = message.model_json_schema(ref_template="#/components/schemas/{model}")
    parts = body.pop("$defs", {})
    return {"CloudEvent": _HEADERS, **parts, message.__name__: body}


_HEADERS: dict[str, Any] = {
    "type": "object",
    "description": "Values are percent-encoded as the CloudEvents NATS binding says. All may be left out by a sender.",
    "properties": {
        "ce-specversion": {"const": "1.0"},
        "ce-id": {"type": "string", "description": "unique per source; also in Nats-Msg-Id, by which repeats are dropped"},
        "ce-source": {"type": "string", "description": "/tidegate/<service>"},
        "ce-type": {"type": "string"},
        "ce-subject": {"type": "string", "description": "namespace/name of the object"},
        "ce-time": {"type": "string", "format": "date-time"},
        "ce-correlationid": {"type": "string", "description": "the same for all that one request led to"},
        "ce-causationid": {"type": "string", "description": "ce-id of the message that led to this one"},
        "ce-authid": {"type": "string", "description": "who asked"},
        "traceparent": {"type": "string", "description": "W3C Trace Context"},
        REPLY_HEADER: {"type": "string", "description": "an inbox that wants the answer to a request"},
    },
}


def rendered() -> dict[str, bytes]:
    """Each generated file, by its path under docs/."""
    files = {f"schemas/{message.__name__}.json": _json(schema(message)) for message in MESSAGES}
    note = "# Generated by `make docs` from tidegate.messages and tidegate.bus.topology. Do not edit.\n"
    text = yaml.safe_dump(orjson.loads(orjson.dumps(asyncapi())), sort_keys=False, width=120, allow_unicode=True)
    return files | {"asyncapi.yaml": (note + text).encode()}


def _json(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def write(folder: Path) -> None:
    for path, content in rendered().items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("docs"))

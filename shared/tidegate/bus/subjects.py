"""Subjects and the messages they carry, computed from `tidegate.messages`. Pure: no I/O, no clock, no environment.

A subject names a class and, by its last two tokens, the object that the message is about. Body and subject must agree:
NATS permissions are granted by subject, so a body that speaks of another object is refused.
"""

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any, Literal, get_args, get_origin

import orjson
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tidegate.errors import GiveUp
from tidegate.messages import MESSAGES, Message, name_from_token

MAX_BODY = 512 * 1024
"""Bytes. Under the server's default max_payload of 1 MiB even as a dead letter, whose headers are longer."""

ASK = "tidegate.ask."
"""The request/reply door: `tidegate.ask.<rest>` for `tidegate.<rest>` (docs/bus.md)."""

REMEMBERED = 4096
"""Subjects whose meaning is kept at hand: each rollout has a few, and they repeat."""

_FIELD = re.compile(r"^{(\w+)}$")
_REASONS = 5  # validation errors told to a sender; the rest would only be noise


def wildcard(message: type[Message]) -> str:
    """The subject filter that matches every message of a class."""
    return ".".join("*" if _FIELD.match(token) else token for token in message.subject.split("."))


def key_of(subject: str) -> str:
    """`namespace/name` of the object that a subject is about; the unit of ordering and of shares."""
    tokens = subject.split(".")
    return "/".join(name_from_token(token) for token in tokens[-2:])


@lru_cache(maxsize=REMEMBERED)
def class_of(subject: str) -> type[Message] | None:
    for candidate in MESSAGES:
        if candidate.subject and fields_of(candidate, subject) is not None:
            return candidate
    return None


@lru_cache(maxsize=REMEMBERED)
def fields_of(message: type[Message], subject: str) -> Mapping[str, str] | None:
    """The fields that a subject states, or None if it is not a subject of this class."""
    wanted, given = message.subject.split("."), subject.split(".")
    if len(wanted) != len(given):
        return None
    fields: dict[str, str] = {}
    for pattern, token in zip(wanted, given, strict=True):
        field = _FIELD.match(pattern)
        if field is None:
            if pattern != token:
                return None
            continue
        words = _words(message, field[1])
        if words and token not in words:
            return None
        fields[field[1]] = token if words else name_from_token(token)
    return fields


@cache
def _words(message: type[Message], field: str) -> frozenset[str]:
    """The closed vocabulary of a field, empty for names."""
    annotation = message.model_fields[field].annotation
    return frozenset(get_args(annotation)) if get_origin(annotation) is Literal else frozenset()


def decoded(subject: str, body: bytes) -> Message:
    """The message of a subject and a JSON body. Fields that the subject states may be left out of the body.

    Raises `GiveUp` with a reason for the sender: a message that cannot be read now can never be read.
    """
    kind = class_of(subject)
    if kind is None:
        raise GiveUp(f"no message is defined for subject {subject!r}")
    if len(body) > MAX_BODY:
        raise GiveUp(f"the body is {len(body)} bytes, at most {MAX_BODY} are accepted")
    message = _validated(kind, _object(body), fields_of(kind, subject) or {})
    if message.subject_of() != subject:
        raise GiveUp(f"the body is about {message.subject_of()!r}, but it was sent to {subject!r}; they must agree")
    return message


def _object(body: bytes) -> dict[str, Any]:
    try:
        data = orjson.loads(body) if body.strip() else {}
    except orjson.JSONDecodeError as error:
        raise GiveUp(f"the body is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise GiveUp(f"the body must be a JSON object, got {type(data).__name__}")
    return data


def _validated(kind: type[Message], data: dict[str, Any], stated: Mapping[str, str]) -> Message:
    try:
        return kind.model_validate({**stated, **data})
    except ValidationError as error:
        raise GiveUp(f"not a valid {kind.__name__}: {_sentence(kind, error)}") from error


def _sentence(kind: type[Message], error: ValidationError) -> str:
    parts = [
        f"{'.'.join(str(step) for step in each['loc']) or 'body'}: {_complaint(kind, each)}, got {str(each['input'])[:100]!r}"
        for each in error.errors(include_url=False)[:_REASONS]
    ]
    more = error.error_count() - len(parts)
    return "; ".join(parts) + (f"; and {more} more" if more > 0 else "")


def _complaint(kind: type[Message], error: ErrorDetails) -> str:
    if error["type"] != "extra_forbidden":
        return error["msg"]
    part: type[BaseModel] | None = kind
    for step in error["loc"][:-1]:
        part = _part_in(part.model_fields[step].annotation) if part and isinstance(step, str) else part
    return f"unknown field; known: {', '.join(sorted(part.model_fields))}" if part else error["msg"]


def _part_in(annotation: Any) -> type[BaseModel] | None:
    """The model inside `tuple[Model, ...]`, `Model | None` and the like; there is one at most."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for each in get_args(annotation) if (found := _part_in(each))), None)

"""The wire: what is on it is written down in docs/, and a change of it is a decision that a reviewer sees."""

from pathlib import Path

import orjson
import pytest
import yaml

from tidegate.bus import document, subjects
from tidegate.bus.topology import CONSUMERS, STREAMS
from tidegate.messages import MESSAGES

DOCS = Path(__file__).parents[2] / "docs"
HINT = "the wire changed: run `make docs`, and say in the pull request why senders and receivers of the older form still work"
STORED = [message for message in MESSAGES if message.subject]


@pytest.mark.parametrize("path", sorted(document.rendered()))
def test_the_generated_document_is_the_one_checked_in(path):
    checked_in = DOCS / path
    assert checked_in.exists(), HINT
    assert checked_in.read_bytes() == document.rendered()[path], HINT


def test_no_schema_is_left_over_from_a_message_that_is_gone():
    assert {f"schemas/{path.name}" for path in (DOCS / "schemas").glob("*.json")} <= set(document.rendered()), HINT


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.__name__)
def test_a_stored_schema_still_accepts_what_it_required_before(message):
    """The breaking changes: a field that became required, or that is gone."""
    before = orjson.loads((DOCS / "schemas" / f"{message.__name__}.json").read_bytes())
    now = document.schema(message)
    assert set(now.get("required", ())) <= set(before.get("required", ())), HINT
    assert set(before["properties"]) <= set(now["properties"]), HINT


@pytest.mark.parametrize("message", STORED, ids=lambda message: message.__name__)
def test_every_message_lies_in_the_stream_it_names_and_in_no_other_or_in_none(message):
    def catches(pattern, subject):
        wanted, given = pattern.split("."), subject.split(".")
        if wanted[-1] == ">":
            return given[: len(wanted) - 1] == wanted[:-1] and len(given) >= len(wanted)
        return len(wanted) == len(given) and all(each in ("*", token) for each, token in zip(wanted, given, strict=True))

    fields = {name: spec.get("enum", ["a-name"]) for name, spec in message.model_json_schema()["properties"].items()}
    examples = [message.subject.format(**{name: words[0] for name, words in fields.items()} | {"verb": verb})
                for verb in fields.get("verb", [""])]  # fmt: skip
    for subject in examples:
        assert [stream.name for stream in STREAMS if any(catches(each, subject) for each in stream.subjects)] == [
            each for each in [message.stream] if each
        ]
        assert subjects.class_of(subject) is message


@pytest.mark.parametrize("consumer", CONSUMERS, ids=lambda consumer: consumer.name)
def test_every_consumer_reads_messages_of_its_own_stream(consumer):
    assert {message.stream for message in consumer.messages} == {consumer.stream}


def test_every_message_has_a_sender_and_a_receiver():
    for message in MESSAGES:
        assert document.SENDERS[message]
        assert document.receivers(message)


def test_the_asyncapi_document_refers_to_nothing_that_it_does_not_hold():
    whole = yaml.safe_load((DOCS / "asyncapi.yaml").read_text())

    def references(value):
        if isinstance(value, dict):
            yield from ([value["$ref"]] if isinstance(value.get("$ref"), str) else [])
            for each in value.values():
                yield from references(each)
        elif isinstance(value, list):
            for each in value:
                yield from references(each)

    for reference in references(whole):
        found = whole
        for step in reference.removeprefix("#/").split("/"):
            assert step in found, reference
            found = found[step]


@pytest.mark.parametrize("message", [each for each in MESSAGES if each.reply], ids=lambda message: message.__name__)
def test_an_answer_is_recognised_by_the_subject_that_the_question_named(message):
    names = {"plugin": "acme/my.plugin-2", "id": "0a1b", "namespace": "shop", "name": "web.v2"}
    question = message.model_construct(**names)
    answer = subjects.class_of(question.reply_of())
    assert answer is not None
    assert answer is not message
    assert subjects.fields_of(answer, question.reply_of()) == names


def test_no_two_messages_share_a_type():
    assert len({message.type for message in MESSAGES}) == len(MESSAGES)

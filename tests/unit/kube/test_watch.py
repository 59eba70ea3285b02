"""Cutting a watch's bytes into events."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.kube.errors import Gone, ServerUnavailable
from tidegate.kube.watch import Lines, events


@given(
    st.lists(st.text(max_size=5).map(str.encode).filter(lambda text: b"\n" not in text), max_size=8), st.lists(st.integers(1, 7))
)
def test_lines_are_the_same_however_the_bytes_are_cut(lines, sizes):
    stream = b"".join(line + b"\n" for line in lines)
    splitter, heard = Lines(), []
    for size in sizes:
        chunk, stream = stream[:size], stream[size:]
        heard += splitter.feed(chunk) if chunk else []
    heard += splitter.feed(stream) if stream else []
    assert heard == lines


def test_what_is_cut_mid_line_is_never_seen():
    assert Lines().feed(b'{"type":"ADDED"}\n{"type":"MODI') == [b'{"type":"ADDED"}']


def test_an_object_of_three_megabytes_costs_no_more_per_byte_than_a_small_one():
    lines, chunk = Lines(), b"x" * 65536
    for _ in range(48):
        assert lines.feed(chunk) == []
    assert len(lines.feed(b"\n")[0]) == 48 * 65536


def test_an_error_event_of_code_410_is_gone():
    status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version: 1 (9)"}
    with pytest.raises(Gone, match="too old"):
        list(events([orjson.dumps({"type": "ERROR", "object": status})]))


def test_a_type_this_client_does_not_know_is_left_to_newer_ones():
    assert list(events([b'{"type":"FROBBED","object":{}}', b""])) == []


@pytest.mark.parametrize("line", [b"upstream connect error", b'"text"', b'{"object":{}}', b"[]"])
def test_what_is_no_event_is_a_broken_watch(line):
    with pytest.raises(ServerUnavailable, match="not an event"):
        list(events([line]))

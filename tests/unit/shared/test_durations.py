"""Durations and instants are read as Kubernetes and Go read them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.durations import epoch, go_duration, instant, pause_duration, rfc3339


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10s", 10.0),
        ("5m", 300.0),
        ("1h", 3600.0),
        ("1h30m", 5400.0),
        ("1.5s", 1.5),
        (".5s", 0.5),
        ("1.s", 1.0),
        ("100ms", 0.1),
        ("250us", 0.00025),
        ("250µs", 0.00025),
        ("250μs", 0.00025),
        ("7ns", 7e-9),
        ("0", 0.0),
        ("-0", 0.0),
        ("+3s", 3.0),
        ("-5s", -5.0),
        ("-1.5h", -5400.0),
        ("30m1h", 5400.0),
        ("2562047h47m16.854775807s", 9223372036.854775807),
    ],
)
def test_a_go_duration_is_read_exactly(text, seconds):
    assert go_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "10",
        "1.5",
        "s",
        ".s",
        "10x",
        "10 s",
        "1d",
        " 10s",
        "10s ",
        "1h30",
        "--5s",
        "1e3s",
        "٣s",
        "2562048h",
        "9" * 5000 + "s",
    ],
)
def test_anything_else_is_no_go_duration(text):
    with pytest.raises(ValueError, match="is not a duration"):
        go_duration(text)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(10, 10.0), (0, 0.0), (-5, -5.0), ("10", 10.0), ("+7", 7.0), ("-5", -5.0), ("10s", 10.0), ("1h30m", 5400.0), ("1.5s", 1.5)],
)
def test_a_pause_also_takes_bare_seconds(value, seconds):
    assert pause_duration(value) == seconds


@pytest.mark.parametrize("value", [True, 1.5, None, [], {}, "", "ten", "10x", "1.5", 2**31, "2147483648", "99999999999"])
def test_an_unreadable_pause_is_refused_with_the_right_forms(value):
    with pytest.raises(ValueError, match=r"is not a (pause )?duration; write"):
        pause_duration(value)


@given(st.integers(0, 10**6), st.sampled_from(["ms", "s", "m", "h"]), st.booleans())
def test_sign_number_and_unit_read_back_as_their_product(number, unit, negative):
    scale = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}[unit]
    text = f"{'-' if negative else ''}{number}{unit}"
    assert go_duration(text) == pytest.approx((-1 if negative else 1) * number * scale)


def test_an_instant_is_written_in_utc_with_whole_seconds():
    assert rfc3339(datetime(2026, 1, 2, 3, 4, 5, 999_999, tzinfo=UTC)) == "2026-01-02T03:04:05Z"
    assert rfc3339(datetime(2026, 1, 2, 5, 4, 5, tzinfo=timezone(timedelta(hours=2)))) == "2026-01-02T03:04:05Z"
    assert rfc3339(0.9) == "1970-01-01T00:00:00Z"


def test_an_instant_without_a_zone_is_refused_because_it_names_none():
    with pytest.raises(ValueError, match="has no time zone"):
        rfc3339(datetime(2026, 1, 2))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02t03:04:05z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05.123456789Z", datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=UTC)),
        ("2026-01-02T03:04:05.5+02:00", datetime(2026, 1, 2, 1, 4, 5, 500000, tzinfo=UTC)),
        ("2026-01-02T03:04:05-00:30", datetime(2026, 1, 2, 3, 34, 5, tzinfo=UTC)),
    ],
)
def test_an_instant_is_read_with_its_offset_and_fraction(text, expected):
    assert instant(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "now", "2026-01-02", "2026-01-02T03:04:05", "2026-13-02T03:04:05Z", "2026-02-30T00:00:00Z", "2026-01-02T24:00:00Z",
     "2026-01-02T03:04:05+24:00", "2026-W01-1T00:00:00Z", "0001-01-01T00:00:00+01:00", "0000-01-01T00:00:00Z"],
)  # fmt: skip
def test_an_unreadable_instant_is_refused_by_name(text):
    with pytest.raises(ValueError, match="is not an RFC 3339 time"):
        instant(text)


@given(st.datetimes(min_value=datetime(1, 1, 2), timezones=st.just(UTC)))  # noqa: DTZ001
def test_writing_and_reading_an_instant_loses_only_the_fraction(moment):
    assert instant(rfc3339(moment)) == moment.replace(microsecond=0)


@given(st.integers(0, 4_000_000_000))
def test_seconds_since_1970_survive_writing_and_reading(seconds):
    assert epoch(rfc3339(float(seconds))) == seconds

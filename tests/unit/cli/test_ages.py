"""Ages read as kubectl prints them."""

from datetime import UTC, datetime, timedelta

import pytest

from tidegate_cli.ages import age, short


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"), (119, "119s"), (120, "2m"), (599, "9m59s"), (600, "10m"), (179 * 60, "179m"),
        (3 * 3600, "3h"), (8 * 3600 - 60, "7h59m"), (8 * 3600, "8h"), (47 * 3600, "47h"),
        (2 * 86400, "2d"), (8 * 86400 - 3600, "7d23h"), (8 * 86400, "8d"), (729 * 86400, "729d"),
        (730 * 86400, "2y"), (8 * 365 * 86400 - 86400, "7y364d"), (8 * 365 * 86400, "8y"),
    ],
)  # fmt: skip
def test_a_duration_has_at_most_two_units(seconds: int, text: str) -> None:
    assert short(timedelta(seconds=seconds)) == text


NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_an_object_without_a_time_has_no_age() -> None:
    assert age(None, now=NOW) == ""


def test_an_object_from_a_clock_ahead_of_ours_is_zero_seconds_old() -> None:
    assert age("2026-01-02T03:04:09Z", now=NOW) == "0s"

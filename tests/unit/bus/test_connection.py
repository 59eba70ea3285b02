"""What is said of a connection to NATS that does not come about."""

import pytest

from tidegate.bus.connection import Reporter, address


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("nats://127.0.0.1:4222", "nats://127.0.0.1:4222"),
        ("nats://sender:secret@bus:4222", "nats://bus:4222"),
        ("tls://a-token@bus", "tls://bus"),
        ("nats://u:p@one:4222,nats://u:p@two:4222", "nats://one:4222,nats://two:4222"),
        ("nats://u:p@one:4222, ws://two", "nats://one:4222, ws://two"),
    ],
)
def test_an_address_is_shown_without_its_user_password_or_token(url: str, shown: str) -> None:
    assert address(url) == shown


def test_all_that_is_wrong_is_told_once_and_forgotten_with_the_next_connection() -> None:
    reporter = Reporter("nats://bus")
    assert (reporter.last, reporter.causes) == ("", "no reason was given")
    for text in ("refused", "reset", "refused"):
        reporter.report(OSError(text))
    assert (reporter.last, reporter.causes) == ("refused", "refused, reset")
    reporter.forget()
    assert reporter.last == ""

"""What must not get into a log."""

import subprocess
import sys

import pytest

from tidegate.config import Settings

FAILS = """
import structlog
from tidegate.config import Settings
from tidegate.logs import configure_logging
configure_logging(service="notifier", level="info", as_json={as_json})
def fail():
    settings = Settings(webhook_url="https://hooks.example.com", webhook_secret="hidden-" + "1", nats_password="hidden-" + "2")
    token = "hidden-" + "3"
    raise ValueError("the reason")
try:
    fail()
except ValueError:
    structlog.get_logger().exception("service.failed")
"""


@pytest.mark.parametrize("as_json", [False, True])
def test_a_traceback_shows_the_reason_and_no_local_variables(as_json):
    """In a process of its own: logging is set up once for all of one."""
    told = subprocess.run([sys.executable, "-c", FAILS.format(as_json=as_json)], capture_output=True, text=True, check=True).stderr
    assert "the reason" in told
    assert "hidden-1" not in told
    assert "hidden-2" not in told
    assert "hidden-3" not in told


def test_settings_are_shown_without_their_secrets():
    assert "hidden" not in repr(Settings(webhook_secret="hidden", nats_password="hidden"))

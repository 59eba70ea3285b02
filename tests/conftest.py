"""For every test: properties are not timed, since machines are shared and noisy, and logging is as it was before any test."""

from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

settings.register_profile("tidegate", deadline=None)
settings.load_profile("tidegate")


@pytest.fixture(autouse=True)
def logging_of_its_own() -> Iterator[None]:
    """A command or service under test points structlog at its own stderr, which is closed when that test is over."""
    yield
    structlog.reset_defaults()

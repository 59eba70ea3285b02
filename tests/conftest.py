"""For every test: properties are not timed, since machines are shared and noisy, and try the same examples each time, so that
what is red came with the change; logging is as it was before any test.

`pytest --hypothesis-profile=exploring` tries others; what it finds is kept as an `@example`.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, settings

NO_HURRY: Any = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("tidegate", **NO_HURRY, derandomize=True)
settings.register_profile("exploring", **NO_HURRY, derandomize=False)
settings.load_profile("tidegate")


@pytest.fixture(autouse=True)
def logging_of_its_own() -> Iterator[None]:
    """A command or service under test points structlog at its own stderr, which is closed when that test is over."""
    yield
    structlog.reset_defaults()

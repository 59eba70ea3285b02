"""`tidegate list experiments`: how long one lasts and what is left of it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tidegate_cli.listing import experiment_columns, experiment_line

NOW = datetime(2026, 1, 1, 0, 10, 0, tzinfo=UTC)
BEGAN = "2026-01-01T00:09:00Z"


@pytest.mark.parametrize(
    ("spec", "status", "cells"),
    [
        ({}, {}, ("Pending", "-", "-")),
        ({"duration": "5m"}, {"phase": "Pending"}, ("Pending", "5m", "-")),
        ({"duration": "5m"}, {"phase": "Running", "availableAt": BEGAN}, ("Running", "5m", "4m")),
        ({"duration": "30s"}, {"phase": "Running", "availableAt": BEGAN}, ("Running", "30s", "-")),
        ({"duration": "5m"}, {"phase": "Failed", "availableAt": BEGAN}, ("Failed", "5m", "-")),
        ({"duration": "soon"}, {"phase": "Running", "availableAt": BEGAN}, ("Running", "-", "-")),
    ],
    ids=["new", "not available yet", "under way", "over", "ended", "unreadable"],
)
def test_a_line_tells_what_is_left(spec: Any, status: Any, cells: tuple[str, ...]) -> None:
    metadata = {"name": "trial", "namespace": "shop", "creationTimestamp": "2026-01-01T00:00:00Z"}
    experiment = {"metadata": metadata, "spec": spec, "status": status}
    assert experiment_line(experiment, now=NOW, everywhere=False) == ("trial", *cells, "10m")
    assert experiment_line(experiment, now=NOW, everywhere=True)[:2] == ("shop", "trial")
    assert len(experiment_columns(everywhere=True)) == len(experiment_line(experiment, now=NOW, everywhere=True))

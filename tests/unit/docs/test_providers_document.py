"""docs/providers.md names every provider, and its recipes do what they say."""

import math
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tidegate_analyzer.judge import measurement_verdict
from tidegate_analyzer.providers import PROVIDERS

TEXT = (Path(__file__).parents[3] / "docs" / "providers.md").read_text()
NO_DATA_PAUSES, NO_DATA_IS_GOOD, FEW_PAUSE = (yaml.safe_load(each) for each in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL))


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_provider_has_its_section_and_its_row(name: str) -> None:
    assert f"\n## {name}\n" in TEXT
    assert f"\n| {name} | " in TEXT


@pytest.mark.parametrize(
    ("recipe", "result", "phase"),
    [
        (NO_DATA_PAUSES, [], "Inconclusive"),
        (NO_DATA_PAUSES, [0.97], "Successful"),
        (NO_DATA_PAUSES, [0.9], "Failed"),
        (NO_DATA_IS_GOOD, [], "Successful"),
        (NO_DATA_IS_GOOD, [math.nan], "Successful"),
        (NO_DATA_IS_GOOD, [0.9], "Failed"),
        (FEW_PAUSE, [], "Inconclusive"),
        (FEW_PAUSE, [0.5, 3.0], "Inconclusive"),
        (FEW_PAUSE, [0.5, 300.0], "Failed"),
        (FEW_PAUSE, [0.99, 300.0], "Successful"),
    ],
)
def test_a_recipe_for_few_requests_does_what_it_says(recipe: dict[str, str], result: Any, phase: str) -> None:
    assert measurement_verdict(recipe, result).phase == phase

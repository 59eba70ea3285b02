"""What the accepted API can say and this version cannot do yet. Pure.

A Rollout that asks for it is told so in its status, instead of stopping half way without a word; every line here goes when its
part comes (docs/differences.md, "not there yet").
"""

from collections.abc import Mapping
from typing import Any

from tidegate.rollout import BlueGreen, Experiment, Spec


def unsupported_in(manifest: Mapping[str, Any], spec: Spec) -> str | None:
    """The whole text of the InvalidSpec condition, or None."""
    field = _field(spec)
    if field is None:
        return None
    return f'The Rollout "{manifest["metadata"]["name"]}" is invalid: {field}: Forbidden: this version of Tidegate cannot do it yet'


def _field(spec: Spec) -> str | None:
    if isinstance(spec.strategy, BlueGreen):
        return None
    for index, step in enumerate(spec.strategy.steps):
        if isinstance(step, Experiment):
            return f"spec.strategy.canary.steps[{index}].experiment"
    return None

"""Rules for what an owner may ask of Tidegate beyond the accepted API: annotations of the Rollout."""

from collections.abc import Iterator, Mapping
from typing import Any

from tidegate import keys
from tidegate_planner.validation.problem import Problem, invalid

Json = Mapping[str, Any]


def wish_problems(rollout: Json) -> Iterator[Problem]:
    annotations: Json = (rollout.get("metadata") or {}).get("annotations") or {}
    restarts, surge = annotations.get(keys.FAIL_FAST), annotations.get(keys.SURGE_IN_STEPS)
    if restarts is not None and not (restarts.isascii() and restarts.isdecimal() and int(restarts) > 0):
        text = 'must be the restarts after which a crash loop ends the update, from "1" on'
        yield invalid(_path(keys.FAIL_FAST), restarts, text)
    if surge not in (None, "true", "false"):
        yield invalid(_path(keys.SURGE_IN_STEPS), surge, 'must be "true" or "false"')
    counts = annotations.get(keys.AUTOSCALER_COUNTS)
    if counts not in (None, "wanted", "stable"):
        yield invalid(_path(keys.AUTOSCALER_COUNTS), counts, 'must be "wanted" or "stable"')


def _path(key: str) -> str:
    return f"metadata.annotations[{key}]"

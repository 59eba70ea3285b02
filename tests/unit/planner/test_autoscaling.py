"""What an autoscaler is told during a canary (`argo-behaviour.md` 11.2, N21)."""

from dataclasses import replace
from typing import Any

import pytest

from tidegate import keys
from tidegate.kube.kinds import ROLLOUT
from tidegate.testing import a_rollout
from tidegate_planner.decide import decide
from tidegate_planner.seen import Seen
from tidegate_planner.simulation.shell import Shell
from tidegate_planner.simulation.views import NOW, a_set, a_status, a_view, hash_of, services_on

STEPS = [{"setWeight": 50}, {"pause": {}}]
SERVICES = {"stableService": "stable", "canaryService": "canary"}
ROUTED = {**SERVICES, "trafficRouting": {"nginx": {"stableIngress": "web"}}}
DYNAMIC = {**ROUTED, "dynamicStableScale": True}
ALL, STABLE_ONLY = "app=app", f"app=app,{keys.POD_TEMPLATE_HASH}={hash_of('v1')}"


def halfway(canary: dict[str, Any], counts: str | None, *, stable: int = 4, new: int = 2) -> Seen:
    """Of four pods asked for."""
    status = a_status("v2", "v1", 1, STEPS)
    sets = (a_set("v1", stable), a_set("v2", new, revision=2))
    view = a_view("v2", *sets, status=status, canary={"steps": STEPS, **canary}, services=services_on(stable="v1", canary="v2"))
    return replace(view, annotations={**view.annotations, **({keys.AUTOSCALER_COUNTS: counts} if counts else {})})


def told(seen: Seen) -> tuple[int, str]:
    status = decide(seen, NOW).status
    return status.get("HPAReplicas", 0), status["selector"]


@pytest.mark.parametrize(
    ("canary", "counts", "expected"),
    [
        (ROUTED, None, (6, ALL)),
        (ROUTED, "wanted", (4, ALL)),
        (ROUTED, "stable", (4, STABLE_ONLY)),
        ({}, None, (6, ALL)),
        ({}, "wanted", (4, ALL)),
        ({}, "stable", (4, ALL)),
        (DYNAMIC, "stable", (4, ALL)),
    ],
)
def test_an_autoscaler_is_told_what_the_owner_asked_for(
    canary: dict[str, Any], counts: str | None, expected: tuple[int, str]
) -> None:
    assert told(halfway(canary, counts)) == expected


def test_pods_that_are_not_there_yet_are_not_told() -> None:
    assert told(halfway(ROUTED, "wanted", stable=1, new=1)) == (2, ALL)
    assert told(halfway(ROUTED, "stable", stable=3)) == (3, STABLE_ONLY)


@pytest.mark.parametrize("counts", ["wanted", "stable"])
def test_the_number_stays_what_was_asked_for_through_the_whole_update(counts: str) -> None:
    """The loop of AR#4847: told 6 the autoscaler asks for 6, so that there are 9, and so on."""
    assert {told(halfway(ROUTED, counts, new=new))[0] for new in range(5)} == {4}


def test_blue_green_tells_of_the_active_version_whatever_is_asked() -> None:
    sets = (a_set("v1", 4), a_set("v2", 4, revision=2))
    view = a_view(
        "v2",
        *sets,
        status=a_status("v2", "v1", None, None),
        blue_green={"activeService": "active", "autoPromotionEnabled": False},
        services=services_on(active="v1"),
    )
    for counts in ("wanted", "stable"):
        assert told(replace(view, annotations={**view.annotations, keys.AUTOSCALER_COUNTS: counts})) == (4, STABLE_ONLY)


def test_a_word_that_means_nothing_is_named_with_what_would_be_right() -> None:
    shell = Shell()
    shell.put(ROLLOUT, a_rollout(annotations={keys.AUTOSCALER_COUNTS: "Stable"}))
    problem = shell.see().problem
    assert problem is not None
    assert f'metadata.annotations[{keys.AUTOSCALER_COUNTS}]: Invalid value: "Stable": must be "wanted" or "stable"' in problem
    shell.put(ROLLOUT, a_rollout(annotations={keys.AUTOSCALER_COUNTS: "stable"}))
    assert shell.see().problem is None, "an annotation changes no generation"

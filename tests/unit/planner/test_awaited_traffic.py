"""A split that does not take is visible: which router, what it waits for, since when; and it ends (N1, N15)."""

from dataclasses import replace
from typing import Any

import pytest

from tidegate.durations import rfc3339
from tidegate.messages import TrafficRequested
from tidegate_planner.decide import decide
from tidegate_planner.plan import ScaleReplicaSet, ShiftTraffic
from tidegate_planner.seen import Seen, Traffic, once_asked, once_told
from tidegate_planner.simulation.views import NOW, a_set, a_status, a_view, hash_of, services_on

STEPS: list[Any] = [{"setWeight": 25}, {"pause": {}}]
ROUTED = {
    "stableService": "stable",
    "canaryService": "canary",
    "steps": STEPS,
    "trafficRouting": {"nginx": {"stableIngress": "main"}, "smi": {}},
}
SAID = "smi: TrafficSplit shop/app is not served; nginx: Ingress shop/main does not exist"
ALB = {"ingress": "main", "loadBalancer": {"name": "web", "arn": "arn", "fullName": "web/1"}}


def canary(traffic: Traffic | None = None, *, before: Any = None, spec: Any = None) -> Seen:
    status = before or a_status("v2", "v1", 0, STEPS)
    held = services_on(stable="v1", canary="v2")
    sets = (a_set("v2", 1, revision=2), a_set("v1", 4))
    return a_view("v2", *sets, status=status, canary=ROUTED, services=held, traffic=traffic, spec=spec)


def request_of(view: Seen) -> TrafficRequested:
    return next(action.request for action in decide(view, NOW).actions if isinstance(action, ShiftTraffic))


def answer(state: str, message: str = SAID, **fields: Any) -> Traffic:
    return Traffic(digest=request_of(canary()).digest, state=state, message=message, **fields)


def condition(status: Any) -> dict[str, Any] | None:
    return next((dict(each) for each in status["conditions"] if each["type"] == "TrafficShifted"), None)


@pytest.mark.parametrize(("state", "reason"), [("failed", "TrafficFailed"), ("pending", "TrafficPending")])
def test_the_status_names_the_router_and_what_it_waits_for(state: str, reason: str) -> None:
    status = decide(canary(answer(state)), NOW).status
    assert condition(status) == {
        "type": "TrafficShifted",
        "status": "False",
        "reason": reason,
        "message": SAID,
        "lastTransitionTime": rfc3339(NOW),
        "lastUpdateTime": rfc3339(NOW),
    }
    assert (status["phase"], status["message"]) == ("Progressing", f"waiting for traffic: {SAID}")


def test_since_when_stays_while_the_reason_changes_and_nothing_is_written_while_it_does_not() -> None:
    first = decide(canary(answer("failed")), NOW).status
    same = decide(canary(answer("failed"), before=first), NOW + 5).status
    assert same["conditions"] == first["conditions"]
    after = condition(decide(canary(answer("pending", "smi: waits"), before=first), NOW + 9).status)
    assert after is not None
    assert (after["message"], after["lastTransitionTime"]) == ("smi: waits", rfc3339(NOW))
    long = condition(decide(canary(answer("failed", "x" * 9000)), NOW).status)
    assert long is not None
    assert len(long["message"]) == 1024


@pytest.mark.parametrize(
    "traffic",
    [None, Traffic(digest="another", state="failed", message="old"), answer("asked")],
)
def test_a_request_on_its_way_is_nothing_to_tell(traffic: Traffic | None) -> None:
    assert condition(decide(canary(traffic), NOW).status) is None


def test_it_is_gone_once_the_traffic_has_moved() -> None:
    stuck = decide(canary(answer("failed")), NOW).status
    moved = decide(canary(answer("applied", ""), before=stuck), NOW + 9).status
    assert condition(moved) is None
    assert moved["currentStepIndex"] == 1
    assert moved["message"] == "CanaryPauseStep"


def test_the_deadline_ends_it_and_the_status_still_says_why() -> None:
    stuck = decide(canary(answer("failed")), NOW).status
    given = {"progressDeadlineSeconds": 60, "progressDeadlineAbort": True}
    ended = decide(canary(answer("failed"), before=stuck, spec=given), NOW + 61)
    assert (ended.status["phase"], ended.status["abort"]) == ("Degraded", True)
    assert ended.status["message"].endswith("has timed out progressing.")
    degraded = decide(canary(answer("failed"), before=stuck, spec={"progressDeadlineSeconds": 60}), NOW + 61).status
    assert degraded["message"].startswith("ProgressDeadlineExceeded")
    assert (condition(degraded) or {})["message"] == SAID


def test_what_aws_calls_its_parts_is_kept_in_the_status() -> None:
    told = {"alb": ALB, "albs": [ALB]}
    status = decide(canary(answer("pending", status=told)), NOW).status
    assert (status["alb"], status["albs"]) == (ALB, [ALB])
    after = decide(canary(None, before=status), NOW + 5).status
    assert (after["alb"], after["albs"]) == (ALB, [ALB])


def blue_green(state: str) -> Seen:
    """The active Service has been switched; the answer is to the request that did it."""

    def view(available: int) -> Seen:
        status = a_status("v2", "v1", None, None, blueGreen={"scaleUpPreviewCheckPoint": True})
        sets = (a_set("v2", 4, available, revision=2), a_set("v1", 4))
        config = {"activeService": "active", "previewService": "preview"}
        return a_view("v2", *sets, status=status, blue_green=config, services=services_on(active="v2", preview="v2"))

    asked = request_of(view(3)).digest
    return replace(view(4), traffic=Traffic(digest=asked, state=state, message="targetGroups: 0/4", verified=False))


def test_blue_green_is_not_promoted_and_keeps_its_old_pods_while_a_target_group_lacks_the_new_ones() -> None:
    """`argo-behaviour.md` 5.4: the verification comes before the post-promotion analysis and before anything goes."""
    waiting = decide(blue_green("pending"), NOW)
    assert waiting.status["stableRS"] == hash_of("v1")
    assert (condition(waiting.status) or {})["message"] == "targetGroups: 0/4"
    assert not [each for each in waiting.actions if isinstance(each, ScaleReplicaSet) and each.after < each.before]
    assert decide(blue_green("applied"), NOW).status["stableRS"] == hash_of("v2")


def test_an_answer_does_not_count_again_when_the_wish_goes_back_to_it() -> None:
    """A slow router obeys what was asked for in between, or its answer to that is lost: nobody knows where the traffic is."""
    first = Traffic(digest="a", state="applied", fence=1)
    assert once_asked(first, digest="a", fence=5) == first
    between = once_asked(first, digest="b", fence=5)
    back = once_asked(between, digest="a", fence=9)
    assert (back.digest, back.state) == ("a", "asked")
    assert not first.overrules(back)
    assert Traffic(digest="a", state="applied", fence=9).overrules(back)


def test_a_request_that_is_heard_late_takes_nothing_from_a_newer_answer() -> None:
    newest = Traffic(digest="b", state="applied", fence=9)
    assert once_asked(newest, digest="a", fence=5) == newest


def test_what_this_planner_told_and_another_took_back_is_not_told_again_before_there_is_news() -> None:
    """Each would else write what it knows, a hundred times a second, until the late answer has come to both."""
    assert condition(decide(canary(answer("failed", told=True)), NOW).status) is None
    assert condition(decide(canary(answer("failed")), NOW).status) is not None
    stuck = decide(canary(answer("failed")), NOW).status
    assert condition(decide(canary(answer("failed", told=True), before=stuck), NOW + 5).status) == condition(stuck)


def test_an_answer_that_came_while_another_was_written_is_not_told_yet() -> None:
    first, second = answer("failed"), answer("failed")
    assert once_told(first, first) == replace(first, told=True)
    held = once_told(second, first)
    assert held is not None
    assert not held.told
    assert once_told(first, None) is first

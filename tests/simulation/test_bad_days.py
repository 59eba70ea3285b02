"""Situations in which users of the peer were let down, one by one, on the modelled cluster; each test names the thread.

What random rollouts may never do is in `test_seeds.py`; here each story has an end that was asked for.
"""

from collections.abc import Mapping
from typing import Any

import pytest

from tidegate_planner.replicas import budget
from tidegate_planner.simulation.run import Run
from tidegate_planner.simulation.scenario import Edit, Faults, PodBehaviour, Scenario, pod_template
from tidegate_planner.simulation.scheduler import START

UPDATED_AT = 20.0
SERVICES = {"stableService": "stable", "canaryService": "canary"}
ROUTED = {**SERVICES, "trafficRouting": {"plugins": {"argoproj-labs/gatewayAPI": {"httpRoute": "app", "namespace": "default"}}}}


def rollout(strategy: Mapping[str, Any], **spec: Any) -> dict[str, Any]:
    fields = {"replicas": 4, "selector": {"matchLabels": {"app": "app"}}, "template": pod_template("v1"), **spec}
    kind = "blueGreen" if "activeService" in strategy else "canary"
    return {"metadata": {"name": "app"}, "spec": {**fields, "strategy": {kind: strategy}}}


def story(manifest: dict[str, Any], *edits: Edit, pods: Mapping[str, PodBehaviour] | None = None, **given: Any) -> Run:
    """Of an update to v2 after twenty quiet seconds, and of what else happens."""
    begun = Edit(at=UPDATED_AT, kind="image", value="v2")
    return Run(Scenario(seed=1, manifest=manifest, behaviours=pods or {}, edits=(begun, *edits), **given))


def after(run: Run, seconds: float) -> Run:
    """So long after the update was asked for."""
    run.clock.run(START + UPDATED_AT + seconds)
    return run


def ended(run: Run) -> tuple[str, str, dict[str, int]]:
    """Phase, version of the stable ReplicaSet, and pods wanted by version."""
    status = run.cluster.rollout.status
    images = {each.seen.hash: each.seen.template["spec"]["containers"][0]["image"] for each in run.cluster.sets.values()}
    sizes = {images[each.seen.hash]: each.seen.replicas for each in run.cluster.sets.values() if each.seen.replicas}
    return status["phase"], images[status["stableRS"]], sizes


LOOPING = PodBehaviour(ready_after=2.0, spread=0.9, crash_every=3.0)


@pytest.mark.parametrize("abort", [False, True])
@pytest.mark.parametrize(
    "strategy", [{}, {"steps": [{"setWeight": 50}]}, {**ROUTED, "steps": [{"setWeight": 50}]}], ids=["plain", "steps", "routed"]
)
def test_pods_that_crash_again_and_again_meet_their_deadline(strategy: dict[str, Any], abort: bool) -> None:
    """AR#3765: more than a day, since each pod that was ready for a moment set the clock back."""
    manifest = rollout(strategy, replicas=10, progressDeadlineSeconds=60, progressDeadlineAbort=abort)
    run = after(story(manifest, pods={"v2": LOOPING}), 50)
    assert run.cluster.rollout.status["phase"] == "Progressing"
    phase, stable, sizes = ended(after(run, 200))
    assert (phase, stable) == ("Degraded", "app:v1")
    assert not abort or sizes == {"app:v1": 10}


def test_a_stable_version_that_crashes_does_not_set_the_clock_of_its_successor_back_either() -> None:
    manifest = rollout({"maxSurge": 1, "maxUnavailable": 0}, replicas=4, progressDeadlineSeconds=60)
    run = story(manifest, pods={"v1": LOOPING, "v2": PodBehaviour(ready_after=None)})
    assert ended(after(run, 200))[0] == "Degraded"


def test_pods_that_take_their_time_one_after_the_other_are_progress_for_as_long_as_they_come() -> None:
    """Ten, half a minute apart: five minutes in all, with a deadline of one."""
    manifest = rollout({"maxSurge": "100%", "maxUnavailable": 0}, replicas=10, progressDeadlineSeconds=60)
    run = story(manifest, pods={"v2": PodBehaviour(ready_after=30.0, spread=30.0)})
    assert after(run, 290).cluster.rollout.status["phase"] == "Progressing"
    assert ended(after(run, 400)) == ("Healthy", "app:v2", {"app:v2": 10})


# --- N4: a good version gets out ------------------------------------------------------------------------------------------

BROKEN_LATER = Edit(at=UPDATED_AT - 5, kind="break-pods", value="v1")
STEPS = [{"setWeight": 25}, {"pause": {"duration": 5}}, {"setWeight": 50}, {"pause": {"duration": 5}}]
ALL_STRATEGIES = [
    pytest.param({}, id="plain"),
    pytest.param({"steps": STEPS}, id="steps"),
    pytest.param({"steps": STEPS, "maxSurge": 1, "maxUnavailable": 0}, id="steps, nothing may be missing"),
    pytest.param({"steps": STEPS, "maxSurge": 0, "maxUnavailable": 1}, id="steps, no surge"),
    pytest.param({"steps": STEPS, **SERVICES}, id="services"),
    pytest.param({"steps": STEPS, **ROUTED}, id="routed"),
    pytest.param({"steps": STEPS, **ROUTED, "dynamicStableScale": True}, id="routed, dynamic"),
    pytest.param({"activeService": "active", "previewService": "preview"}, id="blue-green"),
    pytest.param({"activeService": "active", "autoPromotionSeconds": 5}, id="blue-green with a pause"),
]


@pytest.mark.parametrize("strategy", ALL_STRATEGIES)
def test_a_good_version_gets_out_though_the_stable_one_is_broken(strategy: dict[str, Any]) -> None:
    """AR#1774, AR#1416, AR#841: neither back nor forward until an outside dependency was mended."""
    run = story(rollout(strategy, replicas=4, progressDeadlineSeconds=120), BROKEN_LATER)
    assert ended(after(run, 110)) == ("Healthy", "app:v2", {"app:v2": 4})


@pytest.mark.parametrize("more", [{}, {"dynamicStableScale": True}])
def test_each_step_takes_more_users_away_from_a_stable_version_that_is_broken(more: dict[str, Any]) -> None:
    """The peer leaves all traffic as it is while stable is short of pods, and lets the steps pass."""
    run = story(rollout({"steps": [{"setWeight": 25}, {"setWeight": 50}, {"pause": {}}], **ROUTED, **more}), BROKEN_LATER)
    assert after(run, 30).cluster.rollout.status["phase"] == "Paused"
    assert sorted(run.shifter.weights().values()) == [50, 50]


@pytest.mark.parametrize("strategy", ALL_STRATEGIES)
def test_a_good_version_gets_out_after_a_bad_one_was_given_up(strategy: dict[str, Any]) -> None:
    """AR#1593, AR#3120: a failed update is no reason to hold up the one that mends it."""
    mended = Edit(at=UPDATED_AT + 60, kind="image", value="v3")
    manifest = rollout(strategy, replicas=4, progressDeadlineSeconds=30)
    run = story(manifest, mended, pods={"v2": PodBehaviour(ready_after=None)})
    assert after(run, 55).cluster.rollout.status["phase"] == "Degraded"
    phase, stable, sizes = ended(after(run, 160))
    assert (phase, stable, sizes.get("app:v3"), sizes.get("app:v2")) == ("Healthy", "app:v3", 4, None)


# --- N3: what cannot start is given up at once -----------------------------------------------------------------------------

ASKED = {"tidegate.dev/fail-fast": "3"}
NO_IMAGE = PodBehaviour(ready_after=None, waits_with="ImagePullBackOff")
CRASHING = PodBehaviour(ready_after=1.0, crash_every=1.0, waits_with="CrashLoopBackOff")


@pytest.mark.parametrize("strategy", ALL_STRATEGIES)
@pytest.mark.parametrize(("pods", "words"), [(NO_IMAGE, "ImagePullBackOff"), (CRASHING, "CrashLoopBackOff after 3 restarts")])
def test_pods_that_cannot_start_end_the_update_where_that_was_asked_for(
    strategy: dict[str, Any], pods: PodBehaviour, words: str
) -> None:
    """AR#1376, AR#1593: ten minutes of waiting for an image that does not exist, and the bad pods stay after them."""
    manifest = rollout(strategy, minReadySeconds=5)
    manifest["metadata"]["annotations"] = ASKED
    run = after(story(manifest, pods={"v2": pods}), 100)
    assert ended(run) == ("Degraded", "app:v1", {"app:v1": 4})
    assert run.cluster.rollout.status["message"].endswith(f'container "app" waits with {words}')


def test_nobody_who_did_not_ask_is_judged_by_what_pods_wait_for() -> None:
    run = after(story(rollout({"steps": STEPS}), pods={"v2": NO_IMAGE}), 300)
    assert run.cluster.rollout.status["phase"] == "Progressing"


def test_a_retry_after_the_image_was_pushed_goes_through() -> None:
    pushed = [Edit(at=UPDATED_AT + 60, kind="mend-pods", value="v2"), Edit(at=UPDATED_AT + 61, kind="retry")]
    manifest = rollout({"steps": STEPS, **ROUTED, "abortScaleDownDelaySeconds": 5})
    manifest["metadata"]["annotations"] = ASKED
    run = story(manifest, *pushed, pods={"v2": NO_IMAGE})
    assert after(run, 50).cluster.rollout.status["phase"] == "Degraded"
    assert ended(after(run, 150))[:2] == ("Healthy", "app:v2")


# --- N17: no more pods at a time than maxSurge ------------------------------------------------------------------------------


def most_at_once(run: Run, seconds: float) -> tuple[int, int]:
    """How many pods of v2 were wanted and not there yet, and how many pods were wanted in all, at most."""
    coming = total = 0
    for tenth in range(round(seconds * 10)):
        sets = [each.seen for each in after(run, tenth / 10).cluster.sets.values()]
        total = max(total, sum(each.replicas for each in sets))
        coming = max(
            coming, *(each.replicas - each.available for each in sets if each.hash != run.cluster.rollout.status["stableRS"]), 0
        )
    return coming, total


HALF = {"steps": [{"setWeight": 50}, {"pause": {"duration": 5}}], **ROUTED, "maxUnavailable": 0}


@pytest.mark.parametrize("replicas", [1, 2, 3, 7, 10, 20])
@pytest.mark.parametrize("surge", ["10%", 0, 1, 2])
@pytest.mark.parametrize("more", [{}, {"dynamicStableScale": True}])
def test_no_more_pods_come_up_at_a_time_than_max_surge_where_that_was_asked_for(
    replicas: int, surge: int | str, more: dict[str, Any]
) -> None:
    """AR#3284 (half of the pods at once, and the database had no connections left), AR#430, AR#2239."""
    limit = max(1, budget(replicas, surge, 0).surge)
    manifest = rollout({**HALF, "maxSurge": surge, **more}, replicas=replicas)
    manifest["metadata"]["annotations"] = {"tidegate.dev/surge-in-steps": "true"}
    run = story(manifest)
    coming, total = most_at_once(run, 75)
    assert ended(after(run, 120)) == ("Healthy", "app:v2", {"app:v2": replicas})
    assert coming <= limit
    assert not more or total <= replicas + limit + 1, "one for the rounding of weights to pods"


def test_nobody_who_did_not_ask_waits_for_max_surge() -> None:
    assert most_at_once(story(rollout({**HALF, "maxSurge": 1}, replicas=10)), 20)[0] == 5


# --- N5: an abort is the last word -----------------------------------------------------------------------------------------

GATED = [{"setWeight": 50}, {"pause": {}}]
ABORTED = Edit(at=UPDATED_AT + 20, kind="abort")
GATED_STRATEGIES = [
    pytest.param({"steps": GATED}, id="plain"),
    pytest.param({"steps": GATED, **SERVICES}, id="services"),
    pytest.param({"steps": GATED, **ROUTED}, id="routed"),
    pytest.param({"steps": GATED, **ROUTED, "dynamicStableScale": True}, id="routed, dynamic"),
    pytest.param({"steps": GATED, **ROUTED, "dynamicStableScale": True, "abortScaleDownDelaySeconds": 10}, id="dynamic, delayed"),
    pytest.param({"activeService": "active", "previewService": "preview", "autoPromotionEnabled": False}, id="blue-green"),
]


@pytest.mark.parametrize("strategy", GATED_STRATEGIES)
def test_an_aborted_update_comes_to_rest_and_nothing_moves_any_more(strategy: dict[str, Any]) -> None:
    """AR#2929 (it tried again by itself), AR#4898 (each side waited for the other)."""
    run = after(story(rollout(strategy), ABORTED), 100)
    assert ended(run) == ("Degraded", "app:v1", {"app:v1": 4})
    writes = run.writes
    assert ended(after(run, 3600)) == ("Degraded", "app:v1", {"app:v1": 4})
    assert run.writes == writes


@pytest.mark.parametrize("strategy", GATED_STRATEGIES)
def test_an_autoscaler_wakes_no_aborted_version_and_no_service_goes_to_and_fro(strategy: dict[str, Any]) -> None:
    """AR#4973 (the aborted canary is scaled up again), AR#3078 (its Service flaps between two versions)."""
    scalings = [Edit(at=UPDATED_AT + 80 + 5 * turn, kind="replicas", value=size) for turn, size in enumerate((6, 8, 5, 9))]
    run = after(story(rollout(strategy), ABORTED, *scalings), 75)
    changes, aborted_hash = run.cluster.changes["Service"], run.cluster.rollout.status["currentPodHash"]
    moves = len(changes)
    sizes = [size for tenth in range(750, 2000) for size in sizes_of(after(run, tenth / 10), aborted_hash)]
    assert set(sizes) == {0}
    assert len(changes) == moves, "no Service moves for a change of size"
    assert ended(run) == ("Degraded", "app:v1", {"app:v1": 9})


def sizes_of(run: Run, template_hash: str) -> list[int]:
    return [each.seen.replicas for each in run.cluster.sets.values() if each.seen.hash == template_hash]


# --- N6, N16: enough pods for everybody, all the time -----------------------------------------------------------------------


def short_of_pods(run: Run, first: float, last: float) -> list[str]:
    """Each tenth of a second at which somebody's share of the users was more than their pods carry."""
    found = []
    for tenth in range(round(first * 10), round(last * 10)):
        cluster, weights = after(run, tenth / 10).cluster, run.shifter.weights()
        replicas = cluster.rollout.manifest["spec"]["replicas"]
        serving = {each.seen.hash: each.seen.available for each in cluster.sets.values()}
        short = [each for each, weight in weights.items() if serving.get(each, 0) < weight * replicas // 100]
        if not weights:
            short = ["all"] if sum(serving.values()) < replicas else []
        found += [f"{tenth / 10} s: {weights} of {replicas} on {serving}"] if short else []
    return found


SAFE = {"maxUnavailable": 0, "maxSurge": 1}
CAPACITY = [
    pytest.param({"steps": [{"setWeight": 75}, {"pause": {}}], **SAFE}, id="plain"),
    pytest.param({"steps": [{"setWeight": 75}, {"pause": {}}], **ROUTED}, id="routed"),
    pytest.param({"steps": [{"setWeight": 75}, {"pause": {}}], **ROUTED, "dynamicStableScale": True}, id="routed, dynamic"),
    pytest.param({"activeService": "active", "previewService": "preview", "autoPromotionEnabled": False}, id="blue-green"),
]
SLOW = {version: PodBehaviour(ready_after=8.0, spread=1.0) for version in ("v1", "v2", "v3")}


@pytest.mark.parametrize("strategy", CAPACITY)
@pytest.mark.parametrize("shifter", ["prompt", "slow", "unverified", "partial"])
@pytest.mark.parametrize(
    "edits",
    [
        pytest.param([Edit(at=UPDATED_AT + 60, kind="image", value="v3")], id="a second revision in the middle"),
        pytest.param([Edit(at=UPDATED_AT + 60, kind="image", value="v1")], id="back to the stable one"),
        pytest.param([Edit(at=UPDATED_AT + 60, kind="abort")], id="an abort"),
        pytest.param([Edit(at=UPDATED_AT + 60, kind="abort"), Edit(at=UPDATED_AT + 65, kind="retry")], id="an abort and a retry"),
        pytest.param([Edit(at=UPDATED_AT + 60, kind="promote-full")], id="a full promotion"),
    ],
)
def test_nobodys_users_are_more_than_their_pods_carry(strategy: dict[str, Any], shifter: Any, edits: list[Edit]) -> None:
    """AR#3372 (all traffic at once on a stable version that had shrunk), AR#3888, FL#1600, AR#4828 (pods gone before traffic)."""
    run = story(rollout(strategy, replicas=8), *edits, pods=SLOW, faults=Faults(shifter=shifter))
    assert short_of_pods(run, -2, 200) == []


def test_a_way_back_within_the_window_ends_though_the_routers_confirm_it_after_its_service_has_moved() -> None:
    """`rollbackWindow`: with users there it was accepted anew at each look, and never promoted."""
    manifest = rollout({"activeService": "active"}, rollbackWindow={"revisions": 2})
    back = Edit(at=UPDATED_AT + 120, kind="image", value="v1")
    run = story(manifest, back, faults=Faults(shifter="partial"))
    assert ended(after(run, 240)) == ("Healthy", "app:v1", {"app:v1": 4})


# --- a basic canary's stable Service ---------------------------------------------------------------------------------------

STARTING = {"v2": PodBehaviour(ready_after=2.0, spread=1.0)}


def service_without_pods(run: Run, until: float) -> list[str]:
    """Each tenth of a second after the update was asked for at which the stable Service chose a version that does not serve."""
    found = []
    for tenth in range(round(until * 10)):
        cluster = after(run, tenth / 10).cluster
        choice = cluster.services["stable"].hash
        if not any(each.seen.available for each in cluster.sets.values() if each.seen.hash == choice):
            found.append(f"{tenth / 10} s")
    return found


@pytest.mark.parametrize("shifter", ["prompt", "slow", "failing"])
@pytest.mark.parametrize("replicas", [1, 4, 10])
@pytest.mark.parametrize("steps", [[], [{"setWeight": 50}, {"pause": {"duration": "5s"}}], [{"setWeight": 50}, {"setWeight": 100}]])
def test_a_stable_service_without_routing_leads_to_somebody_at_every_moment(shifter: Any, replicas: int, steps: list[Any]) -> None:
    """Not so with the peer: the last old pods go before, or with, the promotion, and only then its Service is switched."""
    run = story(rollout({**SERVICES, "steps": steps}, replicas=replicas), pods=STARTING, faults=Faults(shifter=shifter))
    assert service_without_pods(run, 60) == []
    assert ended(run) == ("Healthy", "app:v2", {"app:v2": replicas})


def test_the_old_pod_that_stays_for_it_makes_room_where_no_node_has_any() -> None:
    """Six pods fit, six are wanted: the sixth new one can come only in the place of the last old one."""
    manifest = rollout(SERVICES, replicas=6, progressDeadlineSeconds=60)
    run = story(manifest, pods=STARTING, faults=Faults(capacity=6))
    assert ended(after(run, 25)) == ("Progressing", "app:v1", {"app:v1": 1, "app:v2": 6})
    assert ended(after(run, 60)) == ("Healthy", "app:v2", {"app:v2": 6})


# --- N8: an inconclusive measurement is a person's business -----------------------------------------------------------------

JUDGED = {"analysis": {"templates": [{"templateName": "check"}]}}


def test_an_inconclusive_measurement_waits_for_a_word_and_goes_on_with_it() -> None:
    """AR#3850 (promoted by itself), AR#3015 (stuck after the promotion)."""
    word = Edit(at=UPDATED_AT + 200, kind="promote")
    manifest = rollout({"steps": [{"setWeight": 50}, JUDGED, {"setWeight": 75}]})
    run = story(manifest, word, verdicts={"Inconclusive": 1.0})
    waiting = after(run, 190).cluster.rollout.status
    assert (waiting["phase"], waiting["message"], waiting["currentStepIndex"]) == ("Paused", "InconclusiveAnalysisRun", 1)
    assert ended(after(run, 260)) == ("Healthy", "app:v2", {"app:v2": 4})

"""Ping and pong take turns in being the stable Service, so that a promotion moves no Service that has traffic (3.7)."""

from dataclasses import replace
from typing import Any

import pytest

from tidegate.messages import TrafficRequested
from tidegate_planner.decide import decide
from tidegate_planner.plan import ShiftTraffic
from tidegate_planner.seen import ReplicaSet, Seen, Traffic
from tidegate_planner.simulation.run import Run
from tidegate_planner.simulation.scenario import Edit, EditKind, Faults, PodBehaviour, Scenario, pod_template
from tidegate_planner.simulation.views import NOW, a_set, a_status, a_view, hash_of, services_on

STEPS: list[Any] = [{"setWeight": 50}, {"pause": {}}]
PAIR = {"pingPong": {"pingService": "ping", "pongService": "pong"}}
ALB = {"alb": {"ingress": "main", "servicePort": 80, "rootService": "root"}}
GATEWAY = {"plugins": {"argoproj-labs/gatewayAPI": {"httpRoute": "app"}}}
OLD, NEW = a_set("v1", 4), a_set("v2", 2, revision=2)


def view(
    *sets: ReplicaSet, step: int = 1, stable: str = "v1", turn: str = "", weight: int | None = None, whose: str = "v2", **given: Any
) -> Seen:
    """v2 on its way. `turn` is `stablePingPong`; `weight` was recorded for the canary `whose`."""
    sides = {"canary": {"weight": weight, "podTemplateHash": hash_of(whose)}, "stable": {"weight": 100 - (weight or 0)}}
    section = {**({"stablePingPong": turn} if turn else {}), **({} if weight is None else {"weights": sides})}
    canary = {**PAIR, "steps": STEPS, "trafficRouting": given.pop("routing", GATEWAY), **given.pop("canary", {})}
    services = given.pop("services", services_on(ping="v2", pong="v1"))
    status = a_status("v2", stable, step, STEPS, canary=section, **given)
    return a_view("v2", *sets, status=status, canary=canary, services=services)


def asked(seen: Seen) -> TrafficRequested:
    return next(action.request for action in decide(seen, NOW).actions if isinstance(action, ShiftTraffic))


def chosen(seen: Seen) -> dict[str, str]:
    versions = {hash_of(version): version for version in ("v1", "v2", "v3")}
    return {each.service: versions[each.hash] for each in asked(seen).services}


def shares(seen: Seen, router: int = 0) -> dict[str | None, int]:
    request = asked(seen)
    split = request.routers[router].split or request.split
    assert split is not None
    return {split.canary.service: split.canary.weight, split.stable.service: split.stable.weight}


@pytest.mark.parametrize(("turn", "shared"), [("", "ping"), ("pong", "ping"), ("ping", "pong")])
def test_the_canary_is_behind_the_one_whose_turn_it_is_not(turn: str, shared: str) -> None:
    stable = "pong" if shared == "ping" else "ping"
    seen = view(NEW, OLD, turn=turn, services=services_on(**{shared: "v2", stable: "v1"}))
    assert chosen(seen) == {shared: "v2", stable: "v1"}
    assert shares(seen) == {shared: 50, stable: 50}


def test_a_promotion_changes_the_turn_and_moves_neither_service_nor_weight() -> None:
    before = view(a_set("v2", 4, revision=2), OLD, step=2, weight=50)
    assert shares(before) == {"ping": 100, "pong": 0}
    request = asked(before)
    promoted = decide(replace(before, traffic=Traffic(digest=request.digest, state="applied")), NOW).status
    assert (promoted["stableRS"], promoted["canary"]["stablePingPong"]) == (hash_of("v2"), "ping")
    after = a_view(
        "v2", a_set("v2", 4, revision=2), OLD, status=promoted, services=services_on(ping="v2", pong="v1"),
        canary={**PAIR, "steps": STEPS, "trafficRouting": GATEWAY},
    )  # fmt: skip
    assert shares(after) == {"ping": 100, "pong": 0}
    assert chosen(after) == {"ping": "v2"}
    assert decide(after, NOW).status["canary"]["stablePingPong"] == "ping"


def test_the_first_deployment_is_the_first_turn() -> None:
    first = a_view("v1", canary={**PAIR, "steps": STEPS, "trafficRouting": GATEWAY}, services=services_on(ping="", pong=""))
    assert decide(first, NOW).status["canary"]["stablePingPong"] == "ping"


def test_a_rollout_that_begins_to_use_them_has_pong_stable_and_writes_nothing_yet() -> None:
    adopted = view(a_set("v2", 4, revision=2), step=2, stable="v2", services=services_on(ping="", pong=""))
    assert chosen(adopted) == {"pong": "v2"}
    assert "stablePingPong" not in decide(adopted, NOW).status.get("canary", {})


def test_the_canarys_pods_are_chosen_before_they_are_ready_while_they_have_no_traffic() -> None:
    """A load balancer may make pods ready only once they are registered with it."""
    starting = view(a_set("v2", 2, 0, revision=2), OLD, step=0, services=services_on(ping="v0", pong="v1"))
    assert chosen(starting) == {"ping": "v2", "pong": "v1"}
    assert shares(starting) == {"ping": 0, "pong": 100}


def test_with_traffic_on_it_the_service_stays_on_pods_that_serve() -> None:
    """v3 interrupts v2, which has half of the traffic through ping; the peer switches at once (N14)."""
    sets = (a_set("v2", 1, 0, revision=3), a_set("v3", 2, revision=2), OLD)
    held = view(*sets, step=0, weight=50, whose="v3", services=services_on(ping="v3", pong="v1"))
    assert chosen(held) == {"ping": "v3", "pong": "v1"}
    assert shares(held) == {"ping": 0, "pong": 100}
    gone = view(*sets, step=0, weight=0, services=services_on(ping="v3", pong="v1"))
    assert chosen(gone)["ping"] == "v2"


def test_an_abort_takes_the_traffic_and_leaves_the_services() -> None:
    aborted = view(NEW, OLD, step=0, abort=True, weight=50)
    assert chosen(aborted) == {"ping": "v2", "pong": "v1"}
    assert shares(aborted) == {"ping": 0, "pong": 100}


PLAIN = {"stableService": "stable", "canaryService": "canary"}


def test_alb_prefers_them_and_the_others_take_them_where_there_is_nothing_else() -> None:
    services = services_on(ping="v2", pong="v1", stable="v1", canary="v2")
    both = view(NEW, OLD, routing={**ALB, **GATEWAY}, canary=PLAIN, services=services)
    assert [each.router for each in asked(both).routers] == ["alb", "argoproj-labs/gatewayAPI"]
    assert shares(both, 0) == {"ping": 50, "pong": 50}
    assert shares(both, 1) == {"canary": 50, "stable": 50}
    alone = view(NEW, OLD, routing={**ALB, **GATEWAY})
    assert [each.split for each in asked(alone).routers] == [None, None]


def test_without_routing_only_the_services_take_turns() -> None:
    seen = a_view(
        "v2", NEW, a_set("v1", 2), status=a_status("v2", "v1", 1, STEPS), canary={**PAIR, "steps": STEPS},
        services=services_on(ping="", pong="v1"),
    )  # fmt: skip
    assert chosen(seen) == {"ping": "v2", "pong": "v1"}


# --- played whole --------------------------------------------------------------------------------------------------------


def played(*edits: tuple[EditKind, Any], **faults: Any) -> tuple[Run, list[str]]:
    """The run, and each moment at which a share went to a Service that chose nobody who serves."""
    spec = {
        "replicas": 4,
        "selector": {"matchLabels": {"app": "app"}},
        "template": pod_template("v1"),
        "strategy": {"canary": {**PAIR, "steps": [{"setWeight": 25}, {"setWeight": 75}], "trafficRouting": GATEWAY}},
    }
    unserved: list[str] = []

    def look(run: Run) -> None:
        available = {owned.seen.hash: owned.seen.available for owned in run.cluster.sets.values()}
        sides = [] if run.shifter.split is None else [run.shifter.split.canary, run.shifter.split.stable]
        for side in sides:
            hash_label = run.cluster.services[side.service or ""].hash
            if side.weight and hash_label and available.get(hash_label, 0) == 0:
                unserved.append(f"{run.clock.now}: {side.service} -> {hash_label} has {side.weight}")

    scenario = Scenario(
        seed=1,
        manifest={"metadata": {"name": "app"}, "spec": spec},
        behaviours={"v2": PodBehaviour(ready_after=3.0)},
        edits=tuple(
            Edit(at=at, kind=kind, value=value) for at, (kind, value) in zip((10.0, 60.0, 63.0, 120.0), edits, strict=False)
        ),
        faults=Faults(**faults),
    )
    run = Run(scenario, watches_status=look)
    run.play()
    return run, unserved


@pytest.mark.parametrize("shifter", ["prompt", "slow", "failing"])
def test_turn_after_turn_no_request_goes_where_nobody_serves(shifter: str) -> None:
    run, unserved = played(("image", "v2"), ("image", "v3"), ("image", "v2"), ("image", "v4"), shifter=shifter)
    assert unserved == []
    status, services = run.cluster.rollout.status, run.cluster.services
    assert status["phase"] == "Healthy"
    assert services[status["canary"]["stablePingPong"]].hash == status["stableRS"] == hash_of("v4")


def test_a_promotion_is_the_end_of_its_update_and_the_next_one_takes_the_other_service() -> None:
    first, _ = played(("image", "v2"))
    assert first.cluster.rollout.status["canary"]["stablePingPong"] == "pong"
    second, _ = played(("image", "v2"), ("image", "v3"))
    assert second.cluster.rollout.status["canary"]["stablePingPong"] == "ping"
    assert {name: held.hash for name, held in second.cluster.services.items()} == {"ping": hash_of("v3"), "pong": hash_of("v2")}

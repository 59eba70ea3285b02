"""What the demonstration waits for, and the lines it prints into a pipe."""

from typing import Any

import pytest

from tidegate_cli.demo.progress import is_promoted, is_rolled_back, marked_steps, progress_line, waits_for_a_person
from tidegate_cli.info import Meta, PodInfo, ReplicaSetInfo, RolloutInfo

STEPS = ({"setWeight": 20}, {"pause": {}}, {"setWeight": 40}, {"pause": {"duration": "10s"}})


def replica_set(role: str, *, pods: int, image: str = "demo:blue", available: int | None = None) -> ReplicaSetInfo:
    shown = tuple(PodInfo(object_meta=Meta(name=f"p{at}"), status="Running", icon="", ready="1/1") for at in range(pods))
    return ReplicaSetInfo(
        object_meta=Meta(name=role), status="Healthy", icon="", revision=2 if role == "canary" else 1, hash=role, replicas=pods,
        available=pods if available is None else available, images=(image,), pods=shown,
        stable=role == "stable", canary=role == "canary",
    )  # fmt: skip


def info(status: str, step: int, *sets: ReplicaSetInfo, **more: Any) -> RolloutInfo:
    return RolloutInfo(
        object_meta=Meta(name="web"), status=status, message="", icon="", strategy="Canary", step=f"{step}/4", actual_weight="20",
        desired=5, replica_sets=sets, steps=STEPS, **more,
    )  # fmt: skip


def test_a_line_tells_phase_step_weight_and_revisions() -> None:
    line = progress_line(info("Paused", 1, replica_set("canary", pods=1), replica_set("stable", pods=4)))
    assert line == "Paused       step 1/4 (pause)           weight  20  revision 2 canary 1/1  revision 1 stable 4/4"


@pytest.mark.parametrize(
    ("status", "step", "waits"), [("Paused", 1, True), ("Paused", 3, False), ("Progressing", 1, False), ("Paused", 4, False)]
)
def test_only_a_pause_without_an_end_waits_for_a_person(status: str, step: int, waits: bool) -> None:
    assert waits_for_a_person(info(status, step)) is waits


def test_steps_are_marked_as_past_present_and_future() -> None:
    assert [icon for icon, _ in marked_steps(info("Paused", 1))] == ["✔", "◌", "◷", "◷"]


def test_healthy_on_the_old_image_is_not_yet_promoted() -> None:
    assert not is_promoted(info("Healthy", 4, replica_set("stable", pods=5)), "demo:yellow")
    assert is_promoted(info("Healthy", 4, replica_set("stable", pods=5, image="demo:yellow")), "demo:yellow")


def test_a_rollback_is_over_when_the_canary_pods_are_gone_and_the_stable_ones_are_back() -> None:
    stable = replica_set("stable", pods=5)
    assert is_rolled_back(info("Degraded", 0, replica_set("canary", pods=0), stable))
    assert not is_rolled_back(info("Degraded", 0, replica_set("canary", pods=1), stable))
    assert not is_rolled_back(info("Degraded", 0, replica_set("stable", pods=5, available=4)))

"""The owner asked to give up an update whose pods cannot start: what is looked at for it, how often, and what counts
(AR#1376, AR#1593)."""

from typing import Any

import pytest

from tidegate import keys
from tidegate.kube.errors import Forbidden
from tidegate.kube.kinds import POD, REPLICA_SET, ROLLOUT
from tidegate.testing import a_rollout
from tidegate_planner.apply import LOOK_AGAIN_AFTER
from tidegate_planner.decide import decide
from tidegate_planner.memory import Memory
from tidegate_planner.plan import LookAtPods, Plan
from tidegate_planner.seen import Seen, WaitingContainer
from tidegate_planner.simulation.shell import Shell
from tidegate_planner.simulation.views import NOW, a_set, a_status, a_view, hash_of
from tidegate_planner.validation import problems

STEPS = [{"setWeight": 25}, {"pause": {}}]
ASKED = {keys.FAIL_FAST: "3", keys.REVISION: "2"}
PULL = WaitingContainer(pod="app-1", container="app", reason="ImagePullBackOff", message="Back-off pulling image")


def missing(*waiting: WaitingContainer, annotations: Any = None, step: int | None = 0, **given: Any) -> Seen:
    """One pod of the new version that is not there."""
    status = a_status(given.pop("version", "v2"), "v1", step, STEPS, **given.pop("status", {}))
    asked = ASKED if annotations is None else annotations
    sets = (a_set("v2", 1, 0, revision=2), a_set("v1", 4))
    return a_view("v2", *sets, status=status, canary={"steps": STEPS}, annotations=asked, waiting=waiting, **given)


def looks(plan: Plan) -> list[str]:
    return [each.hash for each in plan.actions if isinstance(each, LookAtPods)]


@pytest.mark.parametrize(
    ("reason", "restarts", "ends"),
    [
        ("ImagePullBackOff", 0, True),
        ("ErrImageNeverPull", 0, True),
        ("InvalidImageName", 0, True),
        ("CreateContainerConfigError", 0, True),
        ("CreateContainerError", 0, True),
        ("CrashLoopBackOff", 3, True),
        ("CrashLoopBackOff", 2, False),
        ("ErrImagePull", 0, False),
        ("ContainerCreating", 0, False),
        ("PodInitializing", 0, False),
    ],
)
def test_what_nobody_but_a_person_can_mend_ends_the_update(reason: str, restarts: int, ends: bool) -> None:
    waits = WaitingContainer(pod="app-1", container="app", reason=reason, restarts=restarts)
    assert bool(decide(missing(waits), NOW).status.get("abort")) is ends


def test_the_abort_says_which_pod_and_what_its_kubelet_said() -> None:
    assert decide(missing(PULL), NOW).status["message"] == (
        "RolloutAborted: Rollout aborted update to revision 2: "
        'Pod "app-1" cannot start: container "app" waits with ImagePullBackOff: Back-off pulling image'
    )


@pytest.mark.parametrize(
    "view",
    [
        pytest.param(missing(annotations={}), id="nobody asked"),
        pytest.param(missing(status={"abort": True}), id="it is given up already"),
        pytest.param(missing(spec={"paused": True}), id="paused by hand"),
        pytest.param(a_view("v1", a_set("v1", 4, 0), status=a_status("v1", "v1", 2, STEPS), annotations=ASKED), id="no update"),
        pytest.param(
            a_view("v2", a_set("v2", 1, revision=2), a_set("v1", 3), status=a_status("v2", "v1", 1, STEPS), annotations=ASKED),
            id="all pods are there",
        ),
    ],
)
def test_pods_are_looked_at_only_where_it_was_asked_for_and_may_matter(view: Seen) -> None:
    assert looks(decide(view, NOW)) == []


def test_otherwise_those_of_the_new_version_are() -> None:
    assert looks(decide(missing(), NOW)) == [hash_of("v2")]


def a_pod(shell: Shell, name: str, owner: str, reason: str = "ImagePullBackOff", **metadata: Any) -> None:
    labels = {keys.POD_TEMPLATE_HASH: "abc"}
    controller = {"kind": "ReplicaSet", "name": owner, "uid": "u", "controller": True}
    status = {"initContainerStatuses": [], "containerStatuses": [{"name": "app", "state": {"waiting": {"reason": reason}}}]}
    whole = {"name": name, "labels": labels, "ownerReferences": [controller], **metadata}
    shell.put(POD, {"metadata": whole, "status": status})


@pytest.fixture
def shell() -> Shell:
    shell = Shell()
    shell.put(ROLLOUT, a_rollout(annotations={keys.FAIL_FAST: "3"}))
    owner = {"apiVersion": keys.API_VERSION, "kind": "Rollout", "name": "web", "uid": shell.see().uid, "controller": True}
    labels = {"app": "web", keys.POD_TEMPLATE_HASH: "abc"}
    whole = {"name": "web-abc", "labels": labels, "ownerReferences": [owner]}
    shell.put(REPLICA_SET, {"metadata": whole, "spec": {"replicas": 2, "template": {"metadata": {"labels": labels}}}})
    return shell


async def test_what_is_found_is_decided_upon_at_once_and_looked_at_again_after_a_while(shell: Shell) -> None:
    a_pod(shell, "web-abc-1", "web-abc")
    memory = Memory()
    await shell.apply(LookAtPods(hash="abc"), memory=memory)
    assert [(each.pod, each.reason) for each in shell.see().waiting] == [("web-abc-1", "ImagePullBackOff")]
    assert memory.resend_at == shell.now
    await shell.apply(LookAtPods(hash="abc"), memory=memory)
    assert memory.resend_at == shell.now + LOOK_AGAIN_AFTER
    assert [each.verb for each in shell.kube.calls if each.kind == POD] == ["list"]


async def test_pods_of_others_and_pods_that_are_going_tell_nothing(shell: Shell) -> None:
    a_pod(shell, "other-abc-1", "other-abc")
    a_pod(shell, "web-abc-2", "web-abc", deletionTimestamp="2027-01-15T08:00:00Z", finalizers=["a/b"])
    await shell.apply(LookAtPods(hash="abc"))
    assert shell.see().waiting == ()


async def test_what_was_found_is_forgotten_with_the_question(shell: Shell) -> None:
    """After a retry the pods are others."""
    a_pod(shell, "web-abc-1", "web-abc")
    await shell.apply(LookAtPods(hash="abc"))
    await shell.apply()
    assert shell.see().waiting == ()


async def test_a_planner_that_may_not_look_goes_on_without(shell: Shell) -> None:
    def refuse(call: Any) -> None:
        if call.kind == POD:
            raise Forbidden("pods is forbidden", status=403)

    shell.kube.before = refuse
    memory = Memory()
    await shell.apply(LookAtPods(hash="abc"), memory=memory)
    assert memory.resend_at == shell.now + LOOK_AGAIN_AFTER


@pytest.mark.parametrize("value", ["", "yes", "0", "-1", "1.5"])
def test_a_number_that_is_none_is_refused_with_what_would_be_right(value: str) -> None:
    found = [str(each) for each in problems(a_rollout(annotations={keys.FAIL_FAST: value}))]
    wanted = 'must be the restarts after which a crash loop ends the update, from "1" on'
    assert found == [f'metadata.annotations[tidegate.dev/fail-fast]: Invalid value: "{value}": {wanted}']


def test_an_annotation_that_changes_is_read_anew_though_the_generation_stays(shell: Shell) -> None:
    assert shell.see().problem is None
    manifest = shell.stored(ROLLOUT)
    manifest["metadata"]["annotations"] = {keys.FAIL_FAST: "often"}
    shell.put(ROLLOUT, manifest)
    problem = shell.see().problem
    assert problem is not None
    assert "tidegate.dev/fail-fast" in problem

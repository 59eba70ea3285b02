"""What carrying out a plan writes, what it is conditional on, and what a refusal leads to."""

from dataclasses import replace
from typing import Any

import pytest

from tidegate import keys
from tidegate.errors import Retry
from tidegate.kube.errors import Forbidden, Invalid, NotFound
from tidegate.kube.kinds import REPLICA_SET, ROLLOUT
from tidegate.kube.memory import Call
from tidegate.messages import AnalysisRequested, Destination, Message, Split, TrafficRequested
from tidegate.testing import a_rollout
from tidegate_planner.apply import is_lazy
from tidegate_planner.asking import RESEND_AFTER
from tidegate_planner.decide import decide
from tidegate_planner.memory import Memory
from tidegate_planner.plan import (
    AdoptReplicaSet,
    AnnotateRollout,
    ChangeTemplate,
    ConfirmReplicaSet,
    CreateReplicaSet,
    DeleteAnalysis,
    DeleteReplicaSet,
    Plan,
    ReadRollout,
    ReleaseReplicaSet,
    ScaleReplicaSet,
    SetDefaultReplicas,
    ShiftTraffic,
    StartAnalysis,
    TerminateAnalysis,
)
from tidegate_planner.replica_set_writes import CREATE_AGAIN_AFTER
from tidegate_planner.seen import Traffic
from tidegate_planner.simulation.shell import NAMESPACE, Shell
from tidegate_planner.writing import Refused


@pytest.fixture
def shell() -> Shell:
    """A Rollout `web` that nothing was done for yet."""
    shell = Shell()
    shell.put(ROLLOUT, a_rollout())
    return shell


def a_replica_set(shell: Shell, *, owned: bool = True, annotations: Any = None, **metadata: Any) -> dict[str, Any]:
    """web-abc with two replicas."""
    owner = {"apiVersion": keys.API_VERSION, "kind": "Rollout", "name": "web", "uid": shell.see().uid, "controller": True}
    labels = {"app": "web", keys.POD_TEMPLATE_HASH: "abc"}
    whole = {"name": "web-abc", "labels": labels, **({"ownerReferences": [owner]} if owned else {}), **metadata}
    if annotations is not None:
        whole["annotations"] = annotations
    return shell.put(REPLICA_SET, {"metadata": whole, "spec": {"replicas": 2, "template": {"metadata": {"labels": labels}}}})


def scale(after: int, before: int = 2, **annotations: str | None) -> ScaleReplicaSet:
    return ScaleReplicaSet(name="web-abc", hash="abc", before=before, after=after, annotations=annotations)


def the_first_replica_set(shell: Shell) -> CreateReplicaSet:
    return next(each for each in decide(shell.see(), shell.now).actions if isinstance(each, CreateReplicaSet))


# --- order, and refusals ------------------------------------------------------------------------------------------------


async def test_the_status_is_written_before_anything_is_done(shell: Shell) -> None:
    seen = shell.see()
    await shell.applier.apply(seen, decide(seen, shell.now), Memory(), lazy_for=0)
    assert shell.writes == [
        ("merge_patch", "Rollout", "status"),
        ("merge_patch", "Rollout", None),
        ("create", "ReplicaSet", None),
    ]
    assert shell.stored(ROLLOUT)["status"]["currentPodHash"] == shell.see().replica_sets[0].hash


async def test_our_own_writes_are_seen_at_once_though_the_watch_lags(shell: Shell) -> None:
    for feed in shell.feeds.values():
        feed.pause()
    seen = shell.see()
    await shell.applier.apply(seen, decide(seen, shell.now), Memory(), lazy_for=0)
    again = shell.see()
    assert (again.status["phase"], len(again.replica_sets)) == ("Progressing", 1)
    assert again.annotations[keys.REVISION] == "1"


async def test_a_refused_status_stops_everything_after_it(shell: Shell) -> None:
    seen = shell.see()
    shell.put(ROLLOUT, a_rollout(replicas=5))
    with pytest.raises(Refused):
        await shell.applier.apply(seen, decide(seen, shell.now), Memory(), lazy_for=0)
    assert shell.writes == [("merge_patch", "Rollout", "status")]
    assert shell.kube.snapshot(REPLICA_SET) == []


async def test_an_unchanged_status_is_not_written(shell: Shell) -> None:
    await shell.apply()
    assert shell.writes == []


async def test_a_size_that_somebody_changed_meanwhile_refuses_ours(shell: Shell) -> None:
    a_replica_set(shell)
    with pytest.raises(Refused):
        await shell.apply(scale(4, before=3))
    assert shell.stored(REPLICA_SET, "web-abc")["spec"]["replicas"] == 2


@pytest.mark.parametrize("action", [scale(4), AdoptReplicaSet(name="web-abc", uid="u", owner={})])
async def test_a_replica_set_that_is_gone_refuses(shell: Shell, action: Any) -> None:
    with pytest.raises(Refused):
        await shell.apply(action)


@pytest.mark.parametrize(("uid", "version"), [("another", None), (None, 1)])
async def test_only_the_very_replica_set_that_was_seen_is_deleted(shell: Shell, uid: str | None, version: int | None) -> None:
    held = a_replica_set(shell)["metadata"]
    action = DeleteReplicaSet(name="web-abc", uid=uid or held["uid"], resource_version=version or int(held["resourceVersion"]))
    with pytest.raises(Refused):
        await shell.apply(action)
    await shell.apply(replace(action, uid=held["uid"], resource_version=int(held["resourceVersion"])))
    assert shell.kube.snapshot(REPLICA_SET) == []


# --- the rollout itself -------------------------------------------------------------------------------------------------


async def test_default_replicas_and_the_revision_follow_the_status_in_one_pass(shell: Shell) -> None:
    bare = a_rollout()
    del bare["spec"]["replicas"]
    shell.put(ROLLOUT, bare)
    seen = shell.see()
    await shell.applier.apply(seen, decide(seen, shell.now), Memory(), lazy_for=0)
    stored = shell.stored(ROLLOUT)
    assert (stored["spec"]["replicas"], stored["metadata"]["annotations"][keys.REVISION]) == (1, "1")


async def test_default_replicas_never_overwrite_those_that_somebody_sets_in_the_same_moment(shell: Shell) -> None:
    bare = a_rollout()
    del bare["spec"]["replicas"]
    shell.put(ROLLOUT, bare)
    seen = shell.see()

    def somebody_scales(call: Call) -> None:
        if call.subresource == "status":
            shell.put(ROLLOUT, {**a_rollout(replicas=5), "status": shell.stored(ROLLOUT)["status"]})

    shell.kube.after = somebody_scales
    plan = Plan(status={"phase": "x"}, actions=(SetDefaultReplicas(replicas=1),))
    with pytest.raises(Refused):
        await shell.applier.apply(seen, plan, Memory(), lazy_for=0)
    assert shell.stored(ROLLOUT)["spec"]["replicas"] == 5


async def test_an_annotation_leaves_the_others_alone(shell: Shell) -> None:
    shell.put(ROLLOUT, a_rollout(annotations={"team": "shop"}))
    await shell.apply(AnnotateRollout(annotations={keys.REVISION: "3"}))
    assert shell.stored(ROLLOUT)["metadata"]["annotations"] == {"team": "shop", keys.REVISION: "3"}


# --- counts that may lag ------------------------------------------------------------------------------------------------


CALM = {"phase": "Progressing", "replicas": 3, "availableReplicas": 1, "conditions": [], "message": "1 out of 3"}
COUNTED = {**CALM, "availableReplicas": 2, "message": "2 out of 3"}


async def test_counts_are_written_once_they_lagged_for_long_enough(shell: Shell) -> None:
    shell.put(ROLLOUT, {**a_rollout(), "status": CALM})
    memory, plan = Memory(), Plan(status=COUNTED)
    for passed, postponed in ((0.0, True), (0.4, True), (0.9, True), (1.0, False)):
        shell.now = 1000.0 + passed
        assert await shell.applier.apply(shell.see(), plan, memory, lazy_for=1.0) is postponed
    assert shell.stored(ROLLOUT)["status"]["availableReplicas"] == 2
    assert len(shell.writes) == 1


async def test_anything_else_that_changes_takes_the_counts_along_at_once(shell: Shell) -> None:
    shell.put(ROLLOUT, {**a_rollout(), "status": CALM})
    plan = Plan(status={**COUNTED, "currentStepIndex": 1})
    assert await shell.applier.apply(shell.see(), plan, Memory(), lazy_for=1.0) is False
    assert shell.stored(ROLLOUT)["status"]["availableReplicas"] == 2


async def test_actions_are_carried_out_while_counts_lag(shell: Shell) -> None:
    shell.put(ROLLOUT, {**a_rollout(), "status": CALM})
    a_replica_set(shell)
    await shell.applier.apply(shell.see(), Plan(status=COUNTED, actions=(scale(3),)), Memory(), lazy_for=1.0)
    assert shell.stored(REPLICA_SET, "web-abc")["spec"]["replicas"] == 3


async def test_what_the_shifter_said_counts_as_told_once_the_status_with_it_is_written(shell: Shell) -> None:
    shell.put(ROLLOUT, {**a_rollout(), "status": CALM})
    uid = shell.see().uid
    shell.world.hear_traffic(uid, Traffic(digest="d", state="failed"))
    seen = shell.see()
    assert await shell.applier.apply(seen, Plan(status=COUNTED), Memory(), lazy_for=1.0) is True
    assert not told(shell, uid)
    await shell.applier.apply(seen, Plan(status=COUNTED), Memory(), lazy_for=0)
    assert told(shell, uid)
    shell.world.hear_traffic(uid, Traffic(digest="d", state="failed"))
    assert not told(shell, uid)


def told(shell: Shell, uid: str) -> bool:
    return shell.world.traffic[uid].told


def condition(kind: str, status: str = "True", reason: str = "R", message: str = "") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason, "message": message}


@pytest.mark.parametrize(
    ("before", "after", "lazy"),
    [
        ({}, {"phase": "Progressing"}, False),
        ({"phase": "Progressing"}, {"phase": "Progressing", "readyReplicas": 1, "HPAReplicas": 1}, True),
        ({"phase": "Progressing"}, {"phase": "Healthy"}, False),
        ({"phase": "P", "observedGeneration": "1"}, {"phase": "P", "observedGeneration": "2"}, False),
        (
            {"phase": "P", "conditions": [condition("Progressing", message="1 of 3")]},
            {"phase": "P", "conditions": [condition("Progressing", message="2 of 3")]},
            True,
        ),
        (
            {"phase": "P", "conditions": [condition("Progressing", "True")]},
            {"phase": "P", "conditions": [condition("Progressing", "False")]},
            False,
        ),
        (
            {"phase": "P", "conditions": [condition("Available", "True")]},
            {"phase": "P", "conditions": [condition("Available", "False")]},
            True,
        ),
        ({"phase": "P", "conditions": []}, {"phase": "P", "conditions": [condition("Paused")]}, False),
    ],
)
def test_only_counts_and_what_follows_from_them_may_lag(before: Any, after: Any, lazy: bool) -> None:
    assert is_lazy(before, after) is lazy


# --- creating ReplicaSets -----------------------------------------------------------------------------------------------


async def test_a_replica_set_that_we_made_and_did_not_see_yet_is_taken_as_it_is(shell: Shell) -> None:
    shell.feeds[REPLICA_SET].pause()
    create = the_first_replica_set(shell)
    shell.put(REPLICA_SET, create.manifest)
    with pytest.raises(Refused):
        await shell.apply(create)
    assert [each.hash for each in shell.see().replica_sets] == [create.hash]
    assert shell.see().taken_names == frozenset()


async def test_a_lost_answer_to_a_create_costs_no_second_replica_set(shell: Shell) -> None:
    create = the_first_replica_set(shell)

    def lost(_call: Call) -> None:
        shell.kube.after = lambda _call: None
        raise NotFound("connection broken", status=0)

    shell.feeds[REPLICA_SET].pause()
    shell.kube.after = lost
    for _ in range(2):
        with pytest.raises(Refused):
            await shell.apply(create)
    assert len(shell.kube.snapshot(REPLICA_SET)) == len(shell.see().replica_sets) == 1


async def test_a_name_that_belongs_to_somebody_else_leads_to_another_hash(shell: Shell) -> None:
    create = the_first_replica_set(shell)
    shell.put(REPLICA_SET, {"metadata": {"name": create.manifest["metadata"]["name"]}, "spec": {"replicas": 0}})
    with pytest.raises(Refused):
        await shell.apply(create)
    seen = shell.see()
    plan = decide(seen, shell.now)
    assert plan.status["collisionCount"] == 1
    await shell.applier.apply(seen, plan, Memory(), lazy_for=0)
    again = the_first_replica_set(shell)
    assert again.hash != create.hash
    await shell.apply(again)
    assert [each.hash for each in shell.see().replica_sets] == [again.hash]


@pytest.mark.parametrize("refusal", [Forbidden("exceeded quota", status=403), Invalid("no such field", status=422)])
async def test_a_refused_create_is_in_the_status_and_is_tried_again_after_a_while(shell: Shell, refusal: Exception) -> None:
    memory, create = Memory(), the_first_replica_set(shell)

    def refuse(call: Call) -> None:
        if call.verb == "create":
            raise refusal

    shell.kube.before = refuse
    with pytest.raises(type(refusal)):
        await shell.apply(create, memory=memory)
    conditions = decide(shell.see(), shell.now).status["conditions"]
    progressing = next(each for each in conditions if each["type"] == "Progressing")
    assert (progressing["status"], progressing["reason"]) == ("False", "ReplicaSetCreateError")
    assert str(refusal) in progressing["message"]

    shell.now += CREATE_AGAIN_AFTER - 1
    await shell.apply(create, memory=memory)  # not asked, so not refused
    assert shell.writes.count(("create", "ReplicaSet", None)) == 1
    assert memory.resend_at is not None
    assert memory.resend_at == pytest.approx(shell.now + 1), "someone must look again when it is time"

    shell.now += 1
    shell.kube.before = lambda _call: None
    await shell.apply(create, memory=memory)
    assert len(shell.see().replica_sets) == 1
    assert shell.see().create_errors == {}


# --- changing ReplicaSets -----------------------------------------------------------------------------------------------


async def test_size_and_annotations_are_one_write(shell: Shell) -> None:
    a_replica_set(shell, annotations={keys.SCALE_DOWN_DEADLINE: "soon", "team": "shop"})
    action = scale(4, **{keys.SCALE_DOWN_DEADLINE: None, keys.DESIRED_REPLICAS: "4"})
    version = str(shell.see().resource_version)
    await shell.apply(action)
    stored = shell.stored(REPLICA_SET, "web-abc")
    assert stored["spec"]["replicas"] == 4
    assert stored["metadata"]["annotations"] == {"team": "shop", keys.DESIRED_REPLICAS: "4", keys.MADE_FROM: version}
    assert len(shell.writes) == 1


async def test_the_seconds_for_which_pods_must_be_ready_are_written_with_the_size_and_read_again(shell: Shell) -> None:
    a_replica_set(shell)
    await shell.apply(replace(scale(4), min_ready=30))
    assert shell.stored(REPLICA_SET, "web-abc")["spec"] | {"template": {}} == {"replicas": 4, "minReadySeconds": 30, "template": {}}
    assert [(each.replicas, each.min_ready) for each in shell.see().replica_sets] == [(4, 30)]


async def test_a_replica_set_without_annotations_gets_its_first(shell: Shell) -> None:
    a_replica_set(shell)
    await shell.apply(scale(2, **{keys.REVISION: "2", keys.SCALE_DOWN_DEADLINE: None}))
    version = str(shell.see().resource_version)
    assert shell.stored(REPLICA_SET, "web-abc")["metadata"]["annotations"] == {keys.REVISION: "2", keys.MADE_FROM: version}


async def test_an_orphan_is_adopted_and_seen_as_ours(shell: Shell) -> None:
    held = a_replica_set(shell, owned=False)["metadata"]
    assert [each.name for each in shell.see().orphans] == ["web-abc"]
    owner = {"kind": "Rollout", "name": "web", "uid": shell.see().uid, "controller": True}
    await shell.apply(AdoptReplicaSet(name="web-abc", uid=held["uid"], owner=owner))
    assert [each.name for each in shell.see().replica_sets] == ["web-abc"]
    assert shell.see().orphans == ()


async def test_a_namesake_of_the_orphan_is_not_adopted(shell: Shell) -> None:
    a_replica_set(shell, owned=False)
    with pytest.raises(Refused):
        await shell.apply(AdoptReplicaSet(name="web-abc", uid="the-former-one", owner={"uid": shell.see().uid}))
    assert "ownerReferences" not in shell.stored(REPLICA_SET, "web-abc")["metadata"]


async def test_released_a_replica_set_keeps_its_other_owners(shell: Shell) -> None:
    ours = {"apiVersion": keys.API_VERSION, "kind": "Rollout", "name": "web", "uid": shell.see().uid, "controller": True}
    theirs = {"apiVersion": "v1", "kind": "ConfigMap", "name": "note", "uid": "someone"}
    held = a_replica_set(shell, ownerReferences=[ours, theirs])["metadata"]
    await shell.apply(ReleaseReplicaSet(name="web-abc", uid=held["uid"], owner_uid=shell.see().uid))
    assert shell.stored(REPLICA_SET, "web-abc")["metadata"]["ownerReferences"] == [theirs]


# --- views of the Rollout -----------------------------------------------------------------------------------------------


def made_from(shell: Shell) -> int:
    return int(shell.stored(REPLICA_SET, "web-abc")["metadata"]["annotations"][keys.MADE_FROM])


async def test_what_follows_from_a_status_written_in_the_same_pass_says_so(shell: Shell) -> None:
    a_replica_set(shell)
    seen = shell.see()
    create = the_first_replica_set(shell)
    plan = Plan(status={**seen.status, "phase": "Progressing"}, actions=(scale(3), create))
    await shell.applier.apply(seen, plan, Memory(), lazy_for=0.0)
    assert shell.see().resource_version > seen.resource_version
    assert [each.made_from for each in shell.see().replica_sets] == [shell.see().resource_version] * 2


async def test_a_replica_set_that_was_written_from_another_view_of_the_rollout_is_left_alone(shell: Shell) -> None:
    a_replica_set(shell, annotations={keys.MADE_FROM: "1"})
    seen = shell.see()
    a_replica_set(shell, annotations={keys.MADE_FROM: "2"})
    changes = (
        scale(2, **{keys.SCALE_DOWN_DEADLINE: None}),
        ChangeTemplate(name="web-abc", generation=1, metadata={}, affinity=None),
        ConfirmReplicaSet(name="web-abc", generation=1),
    )
    for change in changes:
        with pytest.raises(Refused):
            await shell.apply(change, seen=seen)
    assert made_from(shell) == 2


async def test_one_pass_may_write_a_replica_set_twice(shell: Shell) -> None:
    a_replica_set(shell, annotations={keys.MADE_FROM: "1"})
    await shell.apply(scale(4), scale(4, before=4, **{keys.DESIRED_REPLICAS: "4"}))
    assert made_from(shell) == shell.see().resource_version


async def test_to_confirm_a_replica_set_changes_nothing_and_refuses_another_generation(shell: Shell) -> None:
    before = a_replica_set(shell)
    await shell.apply(ConfirmReplicaSet(name="web-abc", generation=1))
    assert shell.stored(REPLICA_SET, "web-abc") == before
    with pytest.raises(Refused):
        await shell.apply(ConfirmReplicaSet(name="web-abc", generation=2))


async def test_who_is_behind_another_planner_reads_the_rollout_and_does_nothing_else(shell: Shell) -> None:
    shell.feeds[ROLLOUT].pause()
    newer = shell.put(ROLLOUT, a_rollout(image="img:2"))["metadata"]["resourceVersion"]
    a_replica_set(shell, annotations={keys.MADE_FROM: newer})
    seen = shell.see()
    assert seen.newer_views == {"web-abc": int(newer)}
    plan = decide(seen, shell.now)
    assert plan == Plan(status=seen.status, actions=(ReadRollout(views=seen.newer_views),))
    with pytest.raises(Refused):
        await shell.applier.apply(seen, plan, Memory(), lazy_for=0.0)
    assert shell.writes == []
    assert shell.see().newer_views == {}
    assert shell.see().resource_version == int(newer)


async def test_a_view_that_the_rollout_itself_has_not_reached_holds_it_only_until_it_was_read(shell: Shell) -> None:
    a_replica_set(shell, annotations={keys.MADE_FROM: "9" * 18, "team": "shop"})
    with pytest.raises(Refused):
        await shell.apply(ReadRollout(views=shell.see().newer_views))
    assert shell.see().newer_views == {}
    assert shell.stored(REPLICA_SET, "web-abc")["metadata"]["annotations"]["team"] == "shop"


async def test_who_hears_of_traffic_asked_for_from_a_newer_rollout_reads_it_and_does_nothing_else(shell: Shell) -> None:
    seen = shell.see()
    newer = {"made_from": seen.resource_version + 1}
    shell.world.ask_traffic(seen.uid, shift(20).request.model_copy(update=newer))
    plan = decide(shell.see(), shell.now)
    assert plan == Plan(status=seen.status, actions=(ReadRollout(views={}),))
    with pytest.raises(Refused):
        await shell.applier.apply(shell.see(), plan, Memory(), lazy_for=0.0)
    assert shell.writes == []
    assert not shell.see().is_behind, "a version that the Rollout itself has not reached holds it only until it was read"


async def test_a_request_for_traffic_says_which_version_of_the_rollout_it_was_made_from(shell: Shell) -> None:
    seen = shell.see()
    await shell.applier.apply(seen, Plan(status={"phase": "Progressing"}, actions=(shift(20),)), Memory(), lazy_for=0)
    (request,) = (each for each in shell.sent.messages if isinstance(each, TrafficRequested))
    assert request.made_from == shell.see().resource_version > seen.resource_version
    assert not shell.see().is_behind


@pytest.mark.parametrize("nonsense", ["", "-1", "soon", "9" * 5000])
def test_what_is_no_version_is_no_view(shell: Shell, nonsense: str) -> None:
    a_replica_set(shell, annotations={keys.MADE_FROM: nonsense})
    assert [each.made_from for each in shell.see().replica_sets] == [0]


async def test_adopted_it_is_no_view_of_its_new_rollout(shell: Shell) -> None:
    held = a_replica_set(shell, owned=False, annotations={keys.MADE_FROM: "9" * 18})["metadata"]
    owner = {"kind": "Rollout", "name": "web", "uid": shell.see().uid, "controller": True}
    await shell.apply(AdoptReplicaSet(name="web-abc", uid=held["uid"], owner=owner))
    assert shell.see().newer_views == {}


# --- requests to the other services -------------------------------------------------------------------------------------


def shift(weight: int) -> ShiftTraffic:
    split = Split(canary=Destination(weight=weight), stable=Destination(weight=100 - weight))
    request = TrafficRequested(namespace=NAMESPACE, name="web", uid="u", fence=1, digest=str(weight), split=split)
    return ShiftTraffic(request=request)


async def test_an_unanswered_request_is_sent_again_after_a_while_and_not_before(shell: Shell) -> None:
    memory = Memory()
    for passed, sent in ((0.0, 1), (RESEND_AFTER - 0.1, 1), (RESEND_AFTER, 2), (2 * RESEND_AFTER - 0.1, 2)):
        shell.now = 1000.0 + passed
        await shell.apply(shift(20), memory=memory)
        assert len(shell.sent.messages) == sent
    assert memory.resend_at == 1000.0 + 2 * RESEND_AFTER


async def test_traffic_that_goes_there_and_back_is_asked_for_each_time(shell: Shell) -> None:
    memory = Memory()
    for weight in (20, 0, 20):
        await shell.apply(shift(weight), memory=memory)
    assert [each.digest for each in shell.sent.messages if isinstance(each, TrafficRequested)] == ["20", "0", "20"]


async def test_a_request_that_the_bus_did_not_take_is_sent_by_the_next_pass(shell: Shell) -> None:
    def away(_message: Message) -> None:
        raise Retry("NATS is away")

    memory = Memory()
    shell.sent.refuse = away
    with pytest.raises(Retry):
        await shell.apply(shift(20), memory=memory)
    shell.sent.refuse = lambda _message: None
    await shell.apply(shift(20), memory=memory)
    assert len(shell.sent.messages) == 1


async def test_analysis_is_started_ended_and_deleted_by_requests_about_the_run(shell: Shell) -> None:
    manifest = {"metadata": {"name": "web-abc-2", "namespace": NAMESPACE}, "spec": {}}
    memory = Memory()
    for _ in range(2):
        asked = (StartAnalysis(manifest=manifest), TerminateAnalysis(name="other"), DeleteAnalysis(name="old", uid="5d0d"))
        await shell.apply(*asked, memory=memory)
    start, end, delete = shell.sent.messages
    assert isinstance(start, AnalysisRequested)
    assert isinstance(end, AnalysisRequested)
    assert (start.name, start.rollout, start.manifest, start.terminate) == ("web-abc-2", "web", manifest, False)
    assert (end.name, end.manifest, end.terminate) == ("other", None, True)
    assert isinstance(delete, AnalysisRequested)
    assert (delete.name, delete.delete, delete.manifest, delete.terminate) == ("old", "5d0d", None, False)

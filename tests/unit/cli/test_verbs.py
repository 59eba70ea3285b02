"""Each verb writes what the peer's own plugin writes (`argo-behaviour.md` 6.1)."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tidegate import verbs
from tidegate.kube.kinds import ANALYSIS_RUN, DEPLOYMENT, POD, POD_TEMPLATE, ROLLOUT

STEPS = [{"setWeight": 20}, {"pause": {}}, {"setWeight": 40}]


def a_rollout(*, strategy: dict[str, Any] | None = None, paused: bool = False, **status: Any) -> dict[str, Any]:
    spec = {"paused": paused, "strategy": strategy or {"canary": {"steps": STEPS}}, "template": a_template("blue")}
    return {"metadata": {"name": "web", "uid": "ro"}, "spec": spec, "status": status}


def a_template(tag: str, *, hash_: str = "") -> dict[str, Any]:
    labels = {"app": "web", **({"rollouts-pod-template-hash": hash_} if hash_ else {})}
    return {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": f"demo:{tag}"}]}}


def bodies(patches: tuple[verbs.Patch, ...]) -> list[Any]:
    return [(patch.subresource, patch.body) for patch in patches if isinstance(patch, verbs.MergePatch)]


PAUSED = {"pauseConditions": [{"reason": "CanaryPauseStep"}], "controllerPause": True}
INCONCLUSIVE = {"canary": {"currentStepAnalysisRunStatus": {"status": "Inconclusive"}}}


@pytest.mark.parametrize(
    ("rollout", "written"),
    [
        pytest.param(
            a_rollout(currentStepIndex=1, **PAUSED), [("status", {"status": {"pauseConditions": None}})],
            id="a pause is only lifted",
        ),
        pytest.param(
            a_rollout(currentStepIndex=0), [("status", {"status": {"pauseConditions": None, "currentStepIndex": 1}})],
            id="a running step is skipped",
        ),
        pytest.param(
            a_rollout(), [("status", {"status": {"pauseConditions": None, "currentStepIndex": 1}})], id="no index is step 0"
        ),
        pytest.param(
            a_rollout(currentStepIndex=3), [("status", {"status": {"pauseConditions": None, "currentStepIndex": 3}})],
            id="the end is not passed",
        ),
        pytest.param(
            a_rollout(currentStepIndex=2, **PAUSED, **INCONCLUSIVE),
            [("status", {"status": {"pauseConditions": None, "controllerPause": False, "currentStepIndex": 3}})],
            id="an inconclusive analysis is overruled",
        ),
        pytest.param(
            a_rollout(paused=True, strategy={"blueGreen": {}}), [(None, {"spec": {"paused": False}})], id="a pause by hand is ended"
        ),
        pytest.param(
            a_rollout(paused=True, currentStepIndex=1, **PAUSED),
            [(None, {"spec": {"paused": False}}), ("status", {"status": {"pauseConditions": None}})],
            id="both pauses are ended, the one by hand first",
        ),
        pytest.param(a_rollout(strategy={"canary": {}}), [], id="without steps there is nothing to promote"),
    ],
)  # fmt: skip
def test_promote_goes_past_what_holds_it(rollout: dict[str, Any], written: list[Any]) -> None:
    assert bodies(verbs.promotion(rollout)) == written


def test_full_promotion_is_asked_only_while_there_is_something_to_promote() -> None:
    updating = a_rollout(currentPodHash="new", stableRS="old")
    done = a_rollout(currentPodHash="new", stableRS="new")
    assert bodies(verbs.full_promotion(updating)) == [("status", {"status": {"promoteFull": True}})]
    assert bodies(verbs.full_promotion(done)) == []


def test_abort_and_retry_write_the_status_and_pause_the_spec() -> None:
    assert bodies(verbs.abortion(a_rollout())) == [("status", {"status": {"abort": True}})]
    assert bodies(verbs.retrial(a_rollout())) == [("status", {"status": {"abort": False}})]
    assert bodies(verbs.pausing(a_rollout())) == [(None, {"spec": {"paused": True}})]


def test_an_experiment_is_retried_by_forgetting_its_status_in_the_object_itself() -> None:
    assert bodies(verbs.experiment_retrial({"metadata": {"name": "trial"}})) == [(None, {"status": None})]


def test_restart_names_the_moment_in_whole_seconds() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, 600_000, tzinfo=UTC)
    assert bodies(verbs.restarting(a_rollout(), at=at)) == [(None, {"spec": {"restartAt": "2026-01-02T03:04:05Z"}})]


def test_only_runs_can_be_terminated() -> None:
    assert bodies(verbs.termination(ANALYSIS_RUN, "run")) == [(None, {"spec": {"terminate": True}})]
    with pytest.raises(verbs.Refused, match="a Pod cannot be terminated"):
        verbs.termination(POD, "web-1")


def history(*revisions: int) -> list[dict[str, Any]]:
    owned = [{"uid": "ro"}]
    return [
        {
            "metadata": {"name": f"web-{n}", "annotations": {"rollout.argoproj.io/revision": str(n)}, "ownerReferences": owned},
            "spec": {"template": a_template(f"v{n}", hash_=f"hash{n}")},
        }
        for n in revisions
    ]


def test_undo_takes_the_template_of_the_revision_before_without_its_hash() -> None:
    undoing = verbs.undoing(a_rollout(), history(1, 3, 2), to_revision=0)
    (patch,) = undoing.patches
    assert isinstance(patch, verbs.JsonPatch)
    assert (undoing.revision, patch.kind) == (2, ROLLOUT)
    assert patch.operations == ({"op": "replace", "path": "/spec/template", "value": a_template("v2")},)


def test_undo_to_what_it_is_already_writes_nothing() -> None:
    rollout = a_rollout()
    rollout["spec"]["template"] = a_template("v1")
    assert verbs.undoing(rollout, history(1, 2), to_revision=1) == verbs.Undoing(revision=1, patches=())


def test_undo_of_a_referenced_workload_changes_the_workload() -> None:
    rollout = a_rollout()
    rollout["spec"]["workloadRef"] = {"kind": "Deployment", "name": "web-deployment"}
    workload = {"kind": "Deployment", "metadata": {"name": "web-deployment"}, "spec": {"template": a_template("v2")}}
    (patch,) = verbs.undoing(rollout, history(1, 2), to_revision=1, workload=workload).patches
    assert (patch.kind, patch.name) == (DEPLOYMENT, "web-deployment")


def test_undo_of_a_pod_template_writes_where_that_keeps_its_template() -> None:
    rollout = a_rollout()
    rollout["spec"]["workloadRef"] = {"kind": "PodTemplate", "name": "pods"}
    workload = {"metadata": {"name": "pods"}, "template": a_template("v2")}
    (patch,) = verbs.undoing(rollout, history(1, 2), to_revision=1, workload=workload).patches
    assert isinstance(patch, verbs.JsonPatch)
    assert (patch.kind, patch.operations) == (
        POD_TEMPLATE,
        ({"op": "replace", "path": "/template", "value": a_template("v1")},),
    )
    (image,) = verbs.new_images(workload, POD_TEMPLATE, {"app": "demo:v3"})
    assert isinstance(image, verbs.JsonPatch)
    assert [each["path"] for each in image.operations] == [f"/template/spec/containers/0/{field}" for field in ("name", "image")]


def test_undo_leaves_what_the_controller_put_into_the_pods_behind() -> None:
    """The peer writes ephemeral labels and its anti-affinity into the Rollout's own template (`argo-behaviour.md` 6.1)."""
    source, *_ = history(1)
    put_in = {"labels": {"role": "stable"}, "annotations": {"seen-by": "all"}}
    source["metadata"]["annotations"]["rollout.argoproj.io/ephemeral-metadata"] = json.dumps(put_in)
    template = source["spec"]["template"]
    template["metadata"]["labels"]["role"] = "stable"
    template["metadata"]["annotations"] = put_in["annotations"]
    term = {"labelSelector": {"matchExpressions": [{"key": "rollouts-pod-template-hash", "operator": "In", "values": ["h"]}]}}
    anti = {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
    template["spec"]["affinity"] = {"podAntiAffinity": anti}
    (patch,) = verbs.undoing(a_rollout(), [source, *history(2)], to_revision=1).patches
    assert isinstance(patch, verbs.JsonPatch)
    assert patch.operations == ({"op": "replace", "path": "/spec/template", "value": a_template("v1")},)


@pytest.mark.parametrize("record", ["not JSON", "[]", "null"])
def test_undo_takes_a_record_of_injected_metadata_that_cannot_be_read_for_none(record: str) -> None:
    source, *_ = history(1)
    source["metadata"]["annotations"]["rollout.argoproj.io/ephemeral-metadata"] = record
    (patch,) = verbs.undoing(a_rollout(), [source, *history(2)], to_revision=1).patches
    assert isinstance(patch, verbs.JsonPatch)
    assert patch.operations[0]["value"] == a_template("v1")


@pytest.mark.parametrize(
    ("revisions", "to", "text"),
    [
        ((1, 2), 7, "unable to find specified revision 7 in history; there are: 2, 1"),
        ((1,), 0, 'no revision found for rollout "web"'),
        ((), 0, 'no revision found for rollout "web"'),
    ],
)
def test_undo_to_an_unknown_revision_says_which_there_are(revisions: tuple[int, ...], to: int, text: str) -> None:
    with pytest.raises(verbs.Refused, match=text):
        verbs.undoing(a_rollout(), history(*revisions), to_revision=to)


def test_history_of_a_namesake_that_was_deleted_is_not_ours() -> None:
    foreign = history(1, 2)
    for each in foreign:
        each["metadata"]["ownerReferences"] = [{"uid": "an earlier web"}]
    with pytest.raises(verbs.Refused, match="no revision found"):
        verbs.undoing(a_rollout(), foreign, to_revision=0)


def holder() -> dict[str, Any]:
    spec = {
        "containers": [{"name": "app", "image": "a:1"}, {"name": "log", "image": "l:1"}],
        "initContainers": [{"name": "db", "image": "d:1"}],
    }
    return {"metadata": {"name": "web"}, "spec": {"template": {"spec": spec}}}


def images_written(images: dict[str, str]) -> dict[str, str]:
    patches = verbs.new_images(holder(), ROLLOUT, images)
    operations = [each for patch in patches if isinstance(patch, verbs.JsonPatch) for each in patch.operations]
    return {each["path"].removeprefix("/spec/template/spec/"): each["value"] for each in operations if each["op"] != "test"}


def test_images_are_set_by_name_among_containers_of_every_sort() -> None:
    assert images_written({"app": "a:2", "db": "d:2"}) == {"containers/0/image": "a:2", "initContainers/0/image": "d:2"}


def test_a_star_is_every_container_but_a_name_wins_over_it() -> None:
    assert images_written({"*": "x:1", "log": "l:2"}) == {
        "containers/0/image": "x:1", "containers/1/image": "l:2", "initContainers/0/image": "x:1",
    }  # fmt: skip


def test_an_image_that_is_there_already_is_not_written() -> None:
    assert images_written({"app": "a:1"}) == {}


def test_each_image_is_guarded_by_the_name_at_its_place() -> None:
    (patch,) = verbs.new_images(holder(), ROLLOUT, {"log": "l:2"})
    assert isinstance(patch, verbs.JsonPatch)
    assert patch.operations[0] == {"op": "test", "path": "/spec/template/spec/containers/1/name", "value": "log"}


def test_an_unknown_container_is_refused_with_the_known_ones() -> None:
    with pytest.raises(verbs.Refused, match='unable to find container named "nope"; there are: app, db, log'):
        verbs.new_images(holder(), ROLLOUT, {"nope": "x"})


@pytest.mark.parametrize("word", ["app", "app=", "=demo", ""])
def test_a_word_that_is_no_image_is_refused(word: str) -> None:
    with pytest.raises(verbs.Refused, match="is not CONTAINER=IMAGE"):
        verbs.parsed_images([word])


def test_an_image_may_hold_an_equals_sign() -> None:
    assert verbs.parsed_images(["app=registry/demo@sha256=1"]) == {"app": "registry/demo@sha256=1"}

"""Raw objects become one tree: owners by uid, roles by hash, newest revision first."""

from typing import Any

from tidegate.keys import POD_TEMPLATE_HASH, REVISION, SCALE_DOWN_DEADLINE
from tidegate_cli.info import RolloutInfo, as_json
from tidegate_cli.tree import NO_ROLLOUT, Seen, experiment_info, rollout_info

CANARY = {"canary": {"steps": [{"setWeight": 20}, {"pause": {}}]}}


def a_rollout(*, strategy: dict[str, Any] = CANARY, **status: Any) -> dict[str, Any]:
    told = {"observedGeneration": "1", "phase": "Paused", "message": "CanaryPauseStep", "currentStepIndex": 1, **status}
    template = {"spec": {"containers": [{"name": "app", "image": "demo:yellow"}]}}
    metadata = {"name": "web", "namespace": "shop", "uid": "ro", "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z"}
    return {"metadata": metadata, "spec": {"replicas": 5, "strategy": strategy, "template": template}, "status": told}


def a_replica_set(
    hash_: str, revision: int, *, available: int, owner: str = "ro", image: str = "demo", **annotations: str
) -> dict[str, Any]:
    return {
        "metadata": {
            "name": f"web-{hash_}",
            "uid": f"rs-{hash_}",
            "generation": 1,
            "labels": {POD_TEMPLATE_HASH: hash_},
            "annotations": {REVISION: str(revision), **annotations},
            "ownerReferences": [{"uid": owner}],
        },
        "spec": {"replicas": available, "template": {"spec": {"containers": [{"name": "app", "image": image}]}}},
        "status": {"observedGeneration": 1, "replicas": available, "availableReplicas": available},
    }


def a_pod(name: str, owner: str, created: str = "") -> dict[str, Any]:
    metadata = {"name": name, "ownerReferences": [{"uid": owner}], "creationTimestamp": created or None}
    return {
        "metadata": metadata,
        "spec": {"containers": [{}]},
        "status": {"phase": "Running", "containerStatuses": [{"ready": True}]},
    }


def tree_of_a_canary() -> RolloutInfo:
    return rollout_info(
        Seen(
            rollout=a_rollout(currentPodHash="new", stableRS="old", availableReplicas=5),
            replica_sets=[
                a_replica_set("old", 1, available=4, image="demo:blue"),
                a_replica_set("new", 2, available=1, image="demo:yellow"),
                a_replica_set("else", 9, available=1, owner="another rollout"),
            ],
            pods=[a_pod("web-new-1", "rs-new"), a_pod("web-else-1", "rs-else")],
        )
    )


def test_the_header_tells_step_and_weights() -> None:
    info = tree_of_a_canary()
    assert (info.status, info.strategy, info.step, info.set_weight, info.actual_weight) == ("Paused", "Canary", "1/2", "20", "20")


def test_revisions_come_newest_first_and_other_owners_are_left_out() -> None:
    info = tree_of_a_canary()
    assert info.revisions == (2, 1)
    assert [each.object_meta.name for each in info.replica_sets] == ["web-new", "web-old"]
    assert [[pod.object_meta.name for pod in each.pods] for each in info.replica_sets] == [["web-new-1"], []]


def test_roles_come_from_the_hashes_in_the_status() -> None:
    assert [each.roles for each in tree_of_a_canary().replica_sets] == [("canary",), ("stable",)]


def test_a_fully_promoted_hash_is_stable_and_no_longer_the_canary() -> None:
    rollout = a_rollout(currentPodHash="new", stableRS="new", currentStepIndex=2, phase="Healthy", message="")
    info = rollout_info(Seen(rollout=rollout, replica_sets=[a_replica_set("new", 2, available=5)]))
    assert (info.replica_sets[0].roles, info.step, info.actual_weight) == (("stable",), "2/2", "100")


def test_the_active_side_of_blue_green_is_not_also_its_preview() -> None:
    status = {"stableRS": "old", "blueGreen": {"activeSelector": "old", "previewSelector": "new"}}
    rollout = a_rollout(strategy={"blueGreen": {"activeService": "web"}}, currentPodHash="new", **status)
    sets = [a_replica_set("new", 2, available=5), a_replica_set("old", 1, available=5)]
    info = rollout_info(Seen(rollout=rollout, replica_sets=sets))
    assert [each.roles for each in info.replica_sets] == [("preview",), ("stable", "active")]
    assert (info.strategy, info.step, info.set_weight, info.actual_weight) == ("BlueGreen", "", "", "")


def test_ping_and_pong_follow_the_stable_pods() -> None:
    rollout = a_rollout(currentPodHash="new", stableRS="old", canary={"stablePingPong": "pong"})
    sets = [a_replica_set("new", 2, available=1), a_replica_set("old", 1, available=4)]
    info = rollout_info(Seen(rollout=rollout, replica_sets=sets))
    assert [each.roles for each in info.replica_sets] == [("canary", "ping"), ("stable", "pong")]


def test_runs_are_counted_over_their_metrics_and_their_jobs_are_shown() -> None:
    run = {
        "metadata": {"name": "web-2-1", "uid": "run", "annotations": {REVISION: "2"}, "ownerReferences": [{"uid": "ro"}]},
        "status": {
            "phase": "Running",
            "metricResults": [
                {"name": "load", "successful": 2, "failed": 1},
                {"name": "smoke", "successful": 1, "measurements": [{"phase": "Successful", "metadata": {"job-name": "gone"}}]},
            ],
        },
    }
    (info,) = rollout_info(Seen(rollout=a_rollout(), analysis_runs=[run])).analysis_runs
    assert (info.successful, info.failed, info.inconclusive, info.error) == (3, 1, 0, 0)
    assert [(job.object_meta.name, job.status, job.metric_name) for job in info.jobs] == [("gone", "Successful", "smoke")]
    assert info.icon == "◌", "a run that is Running is not finished"


def test_an_experiment_holds_its_own_replica_sets_and_runs() -> None:
    experiment = {"metadata": {"name": "trial", "uid": "exp", "annotations": {REVISION: "2"}, "ownerReferences": [{"uid": "ro"}]}}
    seen = Seen(rollout=a_rollout(), experiments=[experiment], replica_sets=[a_replica_set("x", 2, available=1, owner="exp")])
    info = rollout_info(seen)
    assert [each.object_meta.name for each in info.experiments[0].replica_sets] == ["web-x"]
    assert info.replica_sets == ()


def test_images_of_a_referenced_workload_are_its_own() -> None:
    workload = {
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"template": {"spec": {"containers": [{"name": "w", "image": "w:1"}]}}},
    }
    info = rollout_info(Seen(rollout=a_rollout(), workload=workload))
    assert [(each.name, each.image) for each in info.containers] == [("w", "w:1")]


def test_a_rollout_nobody_has_acted_on_is_a_tree_of_one() -> None:
    rollout = {"metadata": {"name": "web", "namespace": "shop", "uid": "ro", "generation": 1}, "spec": {"strategy": {"canary": {}}}}
    info = rollout_info(Seen(rollout=rollout))
    assert (info.desired, info.current, info.replica_sets) == (1, 0, ())


def test_json_has_the_names_of_the_peer() -> None:
    document = as_json(tree_of_a_canary())
    assert {"objectMeta", "status", "message", "icon", "strategy", "step", "setWeight", "actualWeight", "replicaSets"} <= set(
        document
    )
    assert document["replicaSets"][0]["canary"] is True
    assert document["replicaSets"][0]["objectMeta"]["name"] == "web-new"


def test_the_scale_down_deadline_is_carried_along() -> None:
    deadline = "2026-01-01T00:00:30Z"
    old = a_replica_set("old", 1, available=5, **{SCALE_DOWN_DEADLINE: deadline})
    assert rollout_info(Seen(rollout=a_rollout(), replica_sets=[old])).replica_sets[0].scale_down_deadline == deadline


def test_traffic_that_was_not_seen_to_move_is_in_the_header() -> None:
    since = "2026-01-01T00:00:30Z"
    held = {"type": "TrafficShifted", "status": "False", "reason": "TrafficFailed", "message": "smi: gone"}
    conditions = [{"type": "Available", "status": "True"}, {**held, "lastTransitionTime": since}]
    info = rollout_info(Seen(rollout=a_rollout(conditions=conditions), replica_sets=[], pods=[]))
    assert info.traffic is not None
    assert as_json(info.traffic) == {"state": "failed", "message": "smi: gone", "since": since}
    assert tree_of_a_canary().traffic is None


def test_an_experiment_made_by_hand_is_a_tree_of_its_own() -> None:
    status = {"phase": "Failed", "message": "no good"}
    experiment = {"metadata": {"name": "trial", "namespace": "shop", "uid": "exp"}, "status": status}
    runs = [{"metadata": {"name": "trial-a", "ownerReferences": [{"uid": "exp"}]}, "status": {"phase": "Failed"}}]
    sets = [a_replica_set("x", 0, available=1, owner="exp"), a_replica_set("y", 0, available=1, owner="somebody")]
    info = experiment_info(experiment, Seen(rollout=NO_ROLLOUT, replica_sets=sets, analysis_runs=runs, pods=[a_pod("p", "rs-x")]))
    assert (info.status, info.message, info.icon) == ("Failed", "no good", "✖")
    assert [(each.object_meta.name, each.roles, len(each.pods)) for each in info.replica_sets] == [("web-x", (), 1)]
    assert [each.object_meta.name for each in info.analysis_runs] == ["trial-a"]
    assert as_json(info)["objectMeta"]["namespace"] == "shop"


def test_what_plugins_were_asked_is_in_the_header_in_its_order() -> None:
    held = {
        "stepPluginStatuses": [
            {"index": 0, "name": "acme/off", "operation": "Run", "disabled": True},
            {"index": 1, "name": "acme/approval", "operation": "Run", "phase": "Running", "message": "waits for ann"},
        ]
    }
    found = rollout_info(Seen(rollout=a_rollout(canary=held))).plugin_calls
    assert [(each.step, each.name, each.operation, each.status, each.message) for each in found] == [
        (1, "acme/off", "Run", "Disabled", ""),
        (2, "acme/approval", "Run", "Running", "waits for ann"),
    ]

"""What a request over the bus changes, what it answers, and in which words it is refused."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

import pytest

from tidegate import keys
from tidegate.bus.envelope import Envelope
from tidegate.errors import GiveUp, Retry
from tidegate.kube.client import Kube
from tidegate.kube.errors import Conflict, Forbidden, Invalid, KubeError, NotFound, ServerUnavailable
from tidegate.kube.kinds import DEPLOYMENT, POD_TEMPLATE, REPLICA_SET, ROLLOUT, Kind
from tidegate.kube.memory import Call
from tidegate.messages import RequestAnswered, RolloutCommanded, RolloutRequested, Verb
from tidegate.testing import a_rollout
from tidegate_planner.requests import Requests
from tidegate_planner.simulation.shell import NAMESPACE, Shell

BLUE, YELLOW, GREEN = "demo:blue", "demo:yellow", "demo:green"
ASKED = Envelope(id="id-1", correlation="c-1", authid="ada", reply="_INBOX.x")


@dataclass
class Desk:
    """The handlers on an API server in memory, and the answers they gave."""

    shell: Shell = field(default_factory=Shell)
    answers: list[RequestAnswered] = field(default_factory=list)
    namespace: str | None = None
    instance: str = ""

    async def answer(self, _envelope: Envelope, answer: RequestAnswered) -> None:
        self.answers.append(answer)

    @cached_property
    def handlers(self) -> Requests:
        return Requests(
            kube=cast("Kube", self.shell.kube),
            bus=self,
            namespace=self.namespace,
            instance=self.instance,
        )

    async def request(self, *, name: str = "web", envelope: Envelope = ASKED, **change: Any) -> None:
        await self.handlers.on_requested(RolloutRequested(namespace=NAMESPACE, name=name, **change), envelope)

    async def command(self, verb: Verb, **about: Any) -> None:
        await self.handlers.on_commanded(RolloutCommanded(namespace=NAMESPACE, name="web", verb=verb, **about), ASKED)

    @property
    def rollout(self) -> dict[str, Any]:
        return self.shell.stored(ROLLOUT)

    @property
    def image(self) -> str:
        return str(self.rollout["spec"]["template"]["spec"]["containers"][0]["image"])


@pytest.fixture
def desk() -> Desk:
    """With a Rollout `web` on blue."""
    desk = Desk()
    desk.shell.put(ROLLOUT, a_rollout(annotations={"team": "shop"}))
    return desk


# --- changes ------------------------------------------------------------------------------------------------------------


async def test_an_image_is_set_and_who_asked_is_noted_in_the_same_write(desk: Desk) -> None:
    await desk.request(images={"app": YELLOW})
    assert desk.image == YELLOW
    assert desk.rollout["metadata"]["annotations"] == {"team": "shop", keys.CORRELATION_ID: "c-1", keys.REQUESTED_BY: "ada"}
    assert len(desk.shell.writes) == 1
    (answer,) = desk.answers
    assert (answer.accepted, answer.generation, answer.uid) == (True, 2, desk.rollout["metadata"]["uid"])


async def test_a_request_without_a_correlation_is_tied_by_its_own_id(desk: Desk) -> None:
    await desk.request(images={"*": YELLOW}, envelope=Envelope(id="id-9"))
    assert desk.rollout["metadata"]["annotations"][keys.CORRELATION_ID] == "id-9"


async def test_a_rollout_without_annotations_takes_its_first(desk: Desk) -> None:
    bare = a_rollout()
    del bare["metadata"]["annotations"]
    desk.shell.put(ROLLOUT, bare)
    await desk.request(images={"app": YELLOW})
    assert desk.rollout["metadata"]["annotations"] == {keys.CORRELATION_ID: "c-1", keys.REQUESTED_BY: "ada"}


@pytest.mark.parametrize(
    "change", [{"images": {"app": YELLOW}}, {"patch": {"spec": {"replicas": 5}}}, {"manifest": a_rollout(replicas=7)}]
)
async def test_a_request_that_comes_twice_changes_nothing_the_second_time(desk: Desk, change: dict[str, Any]) -> None:
    await desk.request(**change)
    once = desk.rollout
    await desk.request(**change)
    assert desk.rollout == once
    assert [each.accepted for each in desk.answers] == [True, True]


async def test_a_patch_changes_what_it_names(desk: Desk) -> None:
    await desk.request(patch={"spec": {"replicas": 5}, "metadata": {"labels": {"tier": "front"}, "annotations": {"team": "pay"}}})
    metadata = desk.rollout["metadata"]
    assert (desk.rollout["spec"]["replicas"], desk.image) == (5, BLUE)
    assert metadata["labels"] == {"tier": "front"}
    assert metadata["annotations"] == {"team": "pay", keys.CORRELATION_ID: "c-1", keys.REQUESTED_BY: "ada"}


async def test_a_manifest_creates_the_rollout_without_what_only_the_server_may_say() -> None:
    desk, manifest = Desk(), a_rollout()
    manifest["metadata"] |= {"resourceVersion": "7", "uid": "mine", "creationTimestamp": "then"}
    await desk.request(manifest={**manifest, "status": {"phase": "Healthy"}})
    assert desk.rollout.get("status") is None
    assert desk.rollout["metadata"]["uid"] != "mine"
    assert desk.rollout["metadata"]["namespace"] == NAMESPACE
    assert desk.rollout["metadata"]["annotations"][keys.REQUESTED_BY] == "ada"


async def test_a_manifest_leaves_what_it_does_not_mention(desk: Desk) -> None:
    """`replicas` may be the autoscaler's."""
    desk.shell.put(ROLLOUT, a_rollout(replicas=9))
    manifest = a_rollout(image=YELLOW)
    del manifest["spec"]["replicas"]
    await desk.request(manifest=manifest)
    assert (desk.rollout["spec"]["replicas"], desk.image) == (9, YELLOW)


# --- refusals -----------------------------------------------------------------------------------------------------------


def manifest_with(**fields: Any) -> dict[str, Any]:
    return {"manifest": {**a_rollout(), **fields}}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"images": {"nginx": YELLOW}}, 'unable to find container named "nginx"; there are: app'),
        ({"patch": {"spec": {"replicas": -1}}}, "spec.replicas"),
        ({"patch": {"spec": None}}, "spec: Required value"),
        ({"patch": {"spec": "all of it"}}, "spec"),
        ({"manifest": a_rollout(canary={"maxSurge": 0, "maxUnavailable": 0})}, "maxSurge"),
        ({"manifest": a_rollout(steps=[{"setWeight": 101}])}, "setWeight"),
        (manifest_with(kind="Deployment"), "manifest.kind is 'Deployment'; it must be 'Rollout'"),
        (manifest_with(apiVersion="v1"), "manifest.apiVersion is 'v1'; it must be 'argoproj.io/v1alpha1'"),
        (manifest_with(metadata=None), "manifest.metadata is missing"),
        (manifest_with(metadata={"name": "other"}), "manifest.metadata.name is 'other'; the request is about 'web'"),
        (manifest_with(metadata={"namespace": "other"}), "manifest.metadata.namespace is 'other'; the request is about 'default'"),
    ],
)
async def test_a_bad_request_is_refused_in_words_and_changes_nothing(desk: Desk, change: dict[str, Any], words: str) -> None:
    before = desk.rollout
    with pytest.raises(GiveUp) as refused:
        await desk.request(**change)
    assert words in refused.value.reason
    assert (desk.rollout, desk.answers) == (before, [])


async def test_a_rollout_that_does_not_exist_is_named_and_what_would_be_right() -> None:
    with pytest.raises(GiveUp, match="Rollout default/web does not exist; send its whole manifest"):
        await Desk().request(images={"app": YELLOW})


def refer(desk: Desk, kind: Kind) -> None:
    """The Rollout takes its pods from a workload that is on blue."""
    template = a_rollout()["spec"]["template"]
    held = {"template": template} if kind == POD_TEMPLATE else {"spec": {"replicas": 0, "template": template}}
    desk.shell.put(kind, {"metadata": {"name": "pods"}, **held})
    desk.shell.put(ROLLOUT, a_rollout(workloadRef={"apiVersion": kind.api_version, "kind": kind.kind, "name": "pods"}))


def template_of(workload: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = workload.get("template") or workload["spec"]["template"]
    return found


@pytest.mark.parametrize("kind", [DEPLOYMENT, REPLICA_SET, POD_TEMPLATE], ids=lambda kind: kind.kind)
async def test_an_image_of_pods_that_another_object_describes_is_changed_there(desk: Desk, kind: Kind) -> None:
    refer(desk, kind)
    await desk.request(images={"app": YELLOW})
    assert template_of(desk.shell.stored(kind, "pods"))["spec"]["containers"][0]["image"] == YELLOW
    assert desk.image == BLUE
    assert desk.rollout["metadata"]["annotations"][keys.REQUESTED_BY] == ASKED.authid
    writes = len(desk.shell.writes)
    await desk.request(images={"app": YELLOW})
    assert len(desk.shell.writes) == writes, "a repeated request changes nothing"


async def test_a_workload_that_does_not_exist_is_named(desk: Desk) -> None:
    desk.shell.put(ROLLOUT, a_rollout(workloadRef={"apiVersion": "apps/v1", "kind": "Deployment", "name": "gone"}))
    with pytest.raises(GiveUp, match=r"Deployment default/gone, which spec\.workloadRef names, does not exist"):
        await desk.request(images={"app": YELLOW})
    with pytest.raises(GiveUp, match="does not exist"):
        await desk.command("undo")


async def test_an_undo_that_comes_twice_changes_the_workload_once(desk: Desk) -> None:
    """It goes back to the revision before the newest one: twice would be there and back."""
    refer(desk, DEPLOYMENT)
    uid = desk.rollout["metadata"]["uid"]
    for number, image in ((1, GREEN), (2, BLUE)):
        labels = {"app": "web", keys.POD_TEMPLATE_HASH: f"h{number}"}
        template = {**template_of(desk.shell.stored(DEPLOYMENT, "pods")), "metadata": {"labels": labels}}
        template["spec"] = {"containers": [{"name": "app", "image": image}]}
        metadata = {"name": f"web-h{number}", "labels": labels, "annotations": {keys.REVISION: str(number)}}
        owner = {"apiVersion": keys.API_VERSION, "kind": "Rollout", "name": "web", "uid": uid, "controller": True}
        desk.shell.put(REPLICA_SET, {"metadata": {**metadata, "ownerReferences": [owner]}, "spec": {"template": template}})
    await desk.command("undo")
    undone = template_of(desk.shell.stored(DEPLOYMENT, "pods"))
    assert undone == {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "app", "image": GREEN}]}}
    assert {answer.uid for answer in desk.answers} == {uid}, "the answer is about the Rollout"
    writes = len(desk.shell.writes)
    await desk.command("undo")
    assert len(desk.shell.writes) == writes


async def test_a_namespace_that_is_not_served_is_refused_with_the_one_that_is() -> None:
    desk = Desk(namespace="shop")
    with pytest.raises(GiveUp, match="namespace 'default' is not served here; this planner serves 'shop' only"):
        await desk.request(manifest=a_rollout())
    with pytest.raises(GiveUp, match="is not served here"):
        await desk.command("abort")
    assert desk.shell.kube.calls == []


@pytest.mark.parametrize(
    ("instance", "labels", "words"),
    [
        ("east", {}, f"Rollout web has no label {keys.INSTANCE_ID}; this planner serves those with east only"),
        ("east", {keys.INSTANCE_ID: "west"}, "controller-instance-id: west; this planner serves those with east only"),
        ("", {keys.INSTANCE_ID: "west"}, "controller-instance-id: west; this planner serves those without it only"),
    ],
)
async def test_another_installations_rollout_is_refused_with_whose_it_is(
    instance: str, labels: dict[str, str], words: str
) -> None:
    """Written all the same, nobody here would act on it, and its sender would wait in vain."""
    desk = Desk(instance=instance)
    with pytest.raises(GiveUp, match=re.escape(words)):
        await desk.request(manifest=a_rollout(labels=labels))
    assert desk.shell.writes == []
    desk.shell.put(ROLLOUT, a_rollout(labels=labels))
    for asking in (desk.request(images={"app": YELLOW}), desk.request(patch={"spec": {"replicas": 2}}), desk.command("abort")):
        with pytest.raises(GiveUp, match=re.escape(words)):
            await asking
    assert desk.shell.writes == []


def answering(desk: Desk, verb: str, error: KubeError) -> Callable[[Call], None]:
    def refuse(call: Call) -> None:
        if call.verb == verb:
            raise error

    desk.shell.kube.before = refuse
    return refuse


async def test_a_namespace_that_does_not_exist_is_not_taken_for_a_missing_rollout() -> None:
    desk = Desk()
    answering(desk, "create", NotFound('namespaces "default" not found', status=404))
    with pytest.raises(GiveUp, match='namespaces "default" not found'):
        await desk.request(manifest=a_rollout())


async def test_a_rollout_deleted_between_two_looks_is_asked_for_again(desk: Desk) -> None:
    answering(desk, "merge_patch", NotFound("gone", status=404))
    with pytest.raises(Retry):
        await desk.request(manifest=a_rollout())


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (Conflict("modified", status=409), Retry),
        (ServerUnavailable("etcd is away", status=503), Retry),
        (Invalid("spec.x: unknown", status=422), GiveUp),
        (Forbidden("rbac", status=403), GiveUp),
    ],
)
async def test_what_the_api_server_says_is_tried_again_or_told(desk: Desk, error: KubeError, verdict: type[Exception]) -> None:
    answering(desk, "json_patch", error)
    with pytest.raises(verdict, match=str(error)):
        await desk.request(images={"app": YELLOW})


async def test_a_change_that_overtakes_a_request_is_met_not_undone(desk: Desk) -> None:
    def overtaken(call: Call) -> None:
        if call.verb == "get":
            renamed = a_rollout(image="demo:theirs")
            renamed["spec"]["template"]["spec"]["containers"][0]["name"] = "other"
            desk.shell.put(ROLLOUT, renamed)

    desk.shell.kube.after = overtaken
    with pytest.raises(Retry):
        await desk.request(images={"app": YELLOW})
    assert desk.image == "demo:theirs"


# --- commands -----------------------------------------------------------------------------------------------------------


PAUSE = {"pauseConditions": [{"reason": "CanaryPauseStep", "startTime": "2027-01-15T08:00:00Z"}], "currentStepIndex": 1}
STEPS = [{"setWeight": 25}, {"pause": {}}]


@pytest.mark.parametrize(
    ("verb", "status", "spec"),
    [
        ("promote", {"currentStepIndex": 1, "currentPodHash": "b", "stableRS": "a"}, {}),
        ("resume", {"currentStepIndex": 1, "currentPodHash": "b", "stableRS": "a"}, {}),
        ("promote-full", {**PAUSE, "promoteFull": True, "currentPodHash": "b", "stableRS": "a"}, {}),
        ("abort", {**PAUSE, "abort": True, "currentPodHash": "b", "stableRS": "a"}, {}),
        ("retry", {**PAUSE, "abort": False, "currentPodHash": "b", "stableRS": "a"}, {}),
        ("pause", {**PAUSE, "currentPodHash": "b", "stableRS": "a"}, {"paused": True}),
    ],
)
async def test_a_command_writes_what_the_plugin_would(desk: Desk, verb: Verb, status: dict[str, Any], spec: dict[str, Any]) -> None:
    before = {**PAUSE, "currentPodHash": "b", "stableRS": "a"}
    desk.shell.put(ROLLOUT, {**a_rollout(steps=STEPS), "status": before})
    await desk.command(verb)
    assert desk.rollout["status"] == status
    assert {name: desk.rollout["spec"].get(name) for name in spec} == spec
    assert [each.accepted for each in desk.answers] == [True]


async def test_a_promotion_that_is_delivered_again_does_not_skip_the_next_step(desk: Desk) -> None:
    """Its acknowledgement may be lost after it was carried out; said anew by a person, it counts anew."""
    desk.shell.put(ROLLOUT, {**a_rollout(steps=[*STEPS, {"setWeight": 50}, {"pause": {}}]), "status": PAUSE})
    command = RolloutCommanded(namespace=NAMESPACE, name="web", verb="promote")
    await desk.handlers.on_commanded(command, ASKED)
    desk.shell.put(ROLLOUT, {**desk.rollout, "status": {"currentStepIndex": 2}})
    await desk.handlers.on_commanded(command, ASKED)
    assert desk.rollout["status"]["currentStepIndex"] == 2
    assert [each.accepted for each in desk.answers] == [True, True]
    await desk.handlers.on_commanded(command, Envelope(id="id-2"))
    assert desk.rollout["status"]["currentStepIndex"] == 3


async def test_a_restart_names_its_moment(desk: Desk) -> None:
    await desk.command("restart")
    assert desk.rollout["spec"]["restartAt"].endswith("Z")


async def test_undo_goes_back_to_the_revision_before_and_not_to_one_that_never_was(desk: Desk) -> None:
    uid = desk.rollout["metadata"]["uid"]
    owners = [{"kind": "Rollout", "name": "web", "uid": uid, "controller": True}]
    for revision, image in ((1, "demo:green"), (2, BLUE)):
        template = a_rollout(image=image)["spec"]["template"]
        labels = {**template["metadata"]["labels"], keys.POD_TEMPLATE_HASH: image[5:]}
        metadata = {"name": image[5:], "labels": labels, "ownerReferences": owners, "annotations": {keys.REVISION: str(revision)}}
        desk.shell.put(REPLICA_SET, {"metadata": metadata, "spec": {"template": {**template, "metadata": {"labels": labels}}}})
    with pytest.raises(GiveUp, match=r"revision 9 in history; there are: 2, 1"):
        await desk.command("undo", revision=9)
    await desk.command("undo")
    assert desk.image == "demo:green"
    assert keys.POD_TEMPLATE_HASH not in desk.rollout["spec"]["template"]["metadata"]["labels"]


async def test_a_command_for_a_rollout_that_changed_meanwhile_is_tried_again(desk: Desk) -> None:
    def overtaken(call: Call) -> None:
        if call.verb == "get":
            desk.shell.put(ROLLOUT, a_rollout(image=YELLOW))

    desk.shell.kube.after = overtaken
    with pytest.raises(Retry):
        await desk.command("abort")
    assert "abort" not in (desk.rollout.get("status") or {})

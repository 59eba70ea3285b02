"""Metadata that a version's pods carry while it plays a part, and its dislike of the other's nodes, on a real API server."""

from typing import Any

import pytest

from tidegate.keys import EPHEMERAL_METADATA, PODS_BEHIND
from tidegate.kube.kinds import POD, Object
from tidegate.testing import Scene, a_rollout, eventually, healthy_on, paused_at

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("unprompted")]

BLUE, YELLOW = "demo:blue", "demo:yellow"
GATE = ({"setWeight": 50}, {"pause": {}})


def metadata(role: str) -> dict[str, Any]:
    return {"labels": {"role": role}, "annotations": {f"only-{role}": "yes"}}


async def until_carried(scene: Scene, wanted: dict[str, str | None]) -> dict[str, str]:
    """Image -> role of every pod of it, and its annotations with it; the answer is pod uid -> image."""

    async def look() -> tuple[set[Any], dict[str, str], list[Object]]:
        found, _ = await scene.kube.list(POD, scene.namespace, "app=web")
        live = [each for each in found if not each["metadata"].get("deletionTimestamp")]
        images = {each["metadata"]["uid"]: each["spec"]["containers"][0]["image"] for each in live}
        carried = {(images[each["metadata"]["uid"]], *_carried(each["metadata"])) for each in live}
        return carried, images, await scene.replica_sets("web")

    expected = {(image, role, (f"only-{role}",) if role else ()) for image, role in wanted.items()}
    _, images, _ = await eventually(
        look,
        lambda seen: seen[0] == expected and not any(PODS_BEHIND in each["metadata"]["annotations"] for each in seen[2]),
        what=f"pods that carry {wanted}",
    )
    return images


def _carried(metadata: Object) -> tuple[str | None, tuple[str, ...]]:
    return metadata["labels"].get("role"), tuple(sorted(metadata.get("annotations") or ()))


async def test_running_pods_change_their_metadata_with_the_part_they_play(scene: Scene) -> None:
    both = {"canaryMetadata": metadata("canary"), "stableMetadata": metadata("stable")}
    await scene.apply(a_rollout(replicas=4, steps=GATE, canary=both))
    await scene.until("web", healthy_on(BLUE))
    await until_carried(scene, {BLUE: "stable"})
    await scene.set_image("web", YELLOW)
    await scene.until("web", paused_at(1))
    canaries = await until_carried(scene, {BLUE: "stable", YELLOW: "canary"})
    await scene.command("web", "promote")
    await scene.until("web", healthy_on(YELLOW))
    promoted = await until_carried(scene, {YELLOW: "stable"})
    assert {uid for uid, image in canaries.items() if image == YELLOW} <= set(promoted), "without a restart"
    old, new = await scene.replica_sets("web")
    assert EPHEMERAL_METADATA not in old["metadata"]["annotations"]
    assert new["metadata"]["annotations"][EPHEMERAL_METADATA] == '{"labels":{"role":"stable"},"annotations":{"only-stable":"yes"}}'

    await scene.patch("web", {"spec": {"strategy": {"canary": {"stableMetadata": None}}}})
    bare = await until_carried(scene, {YELLOW: None})
    assert bare == promoted, "and taken off without one"

    assert (await scene.command("web", "undo")).accepted
    await scene.until("web", paused_at(1, image=BLUE))
    template = (await scene.rollout("web"))["spec"]["template"]
    assert template["metadata"]["labels"] == {"app": "web"}


@pytest.mark.parametrize("kind", ["preferred", "required"])
async def test_a_new_version_keeps_away_from_the_old_ones_nodes_while_it_replaces_it(scene: Scene, kind: str) -> None:
    """One node is all there is, so `required` leaves the new pods pending: what is asked for is looked at, not where they run."""
    name = f"{kind}DuringSchedulingIgnoredDuringExecution"
    given = {"weight": 7} if kind == "preferred" else {}
    await scene.apply(a_rollout(replicas=2, steps=GATE, canary={"antiAffinity": {name: given}}))
    await scene.until("web", healthy_on(BLUE))
    (first,) = await scene.replica_sets("web")
    assert "affinity" not in first["spec"]["template"]["spec"]
    await scene.set_image("web", YELLOW)
    sets = await eventually(lambda: scene.replica_sets("web"), lambda seen: len(seen) == 2, what="the new ReplicaSet")
    (asked,) = sets[1]["spec"]["template"]["spec"]["affinity"]["podAntiAffinity"][name]
    term = asked["podAffinityTerm"] if kind == "preferred" else asked
    hash_of_stable = first["metadata"]["labels"]["rollouts-pod-template-hash"]
    assert term["labelSelector"]["matchExpressions"] == [
        {"key": "rollouts-pod-template-hash", "operator": "In", "values": [hash_of_stable]}
    ]
    assert (term["topologyKey"], term["namespaces"]) == ("kubernetes.io/hostname", [scene.namespace])

    await scene.command("web", "promote-full" if kind == "preferred" else "undo")

    async def affinities() -> list[Any]:
        return [each["spec"]["template"]["spec"].get("affinity") for each in await scene.replica_sets("web")]

    await eventually(affinities, lambda seen: seen == [None, None], what="no affinity once the update is over")

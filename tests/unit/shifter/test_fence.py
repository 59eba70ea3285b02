"""Which decision an object was last changed for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.keys import FENCE
from tidegate_shifter.fence import entries, entries_text, fence_on, with_annotation, with_fence, with_label
from tidegate_shifter.router import Owner

APP = Owner(namespace="shop", name="app", uid="5d0d0c2e-1")
names = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,20}[a-z0-9])?", fullmatch=True)
owners = st.builds(lambda namespace, name, uid: Owner(namespace=namespace, name=name, uid=uid), names, names, names)


@given(owner=owners, fence=st.integers(0, 2**63))
def test_what_is_written_is_read_back(owner, fence):
    assert fence_on(with_fence({}, owner, fence), owner) == fence


@given(held=st.dictionaries(owners, st.integers(0, 2**63), max_size=5))
def test_each_rollout_of_a_shared_object_has_its_own_fence(held):
    held = {(owner.namespace, owner.name): (owner, fence) for owner, fence in held.items()}
    manifest = {}
    for owner, fence in held.values():
        manifest = with_fence(manifest, owner, fence)
    assert all(fence_on(manifest, owner) == fence for owner, fence in held.values())


@given(st.dictionaries(names, names))
def test_entries_survive_their_text(held):
    assert entries(entries_text(held)) == held


def test_a_fence_of_another_cluster_does_not_count_after_a_restore():
    restored = with_fence({}, Owner(namespace="shop", name="app", uid="of-the-old-cluster"), 5_000_000)
    assert fence_on(restored, APP) == 0
    assert fence_on(with_fence(restored, APP, 12), APP) == 12


@pytest.mark.parametrize("text", ["", "x", "=,=", "shop/app=", "shop/app=5d0d0c2e-1/soon", "shop/app=5d0d0c2e-1/-3", "12"])
def test_what_cannot_be_read_does_not_stop_traffic_for_good(text):
    assert fence_on({"metadata": {"annotations": {FENCE: text}}}, APP) == 0


def test_a_fence_keeps_the_other_annotations():
    manifest = with_fence({"metadata": {"name": "web", "annotations": {"team": "shop"}}}, APP, 12)
    assert manifest["metadata"] == {"name": "web", "annotations": {"team": "shop", FENCE: "shop/app=5d0d0c2e-1/12"}}


@pytest.mark.parametrize("with_key", [with_annotation, with_label])
def test_removing_what_is_absent_gives_the_very_same_manifest(with_key):
    manifest = {"metadata": {"name": "web"}}
    assert with_key(manifest, "a", None) is manifest

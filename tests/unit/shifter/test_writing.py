"""Read, compute, write the difference; fenced, and never in conflict for long."""

import pytest

from tidegate.errors import Retry
from tidegate.keys import FENCE
from tidegate.kube.errors import Forbidden
from tidegate.kube.kinds import CONFIG_MAP
from tidegate.kube.memory import MemoryKube
from tidegate_shifter.router import Owner, Refused, Stale
from tidegate_shifter.writing import ATTEMPTS, Target, write, write_each

APP = Owner(namespace="shop", name="app", uid="u")
MAP = Target(CONFIG_MAP, "shop", "web")


def a_map(name="web", **data):
    return {"metadata": {"name": name, "namespace": "shop"}, "data": data}


def size(value):
    return lambda found: {**found, "data": {**found["data"], "size": value}}


@pytest.fixture
async def kube():
    kube = MemoryKube()
    await kube.create(CONFIG_MAP, a_map(size="1", color="blue"))
    kube.calls.clear()
    return kube


def writes(kube):
    return [call for call in kube.calls if call.verb != "get"]


async def test_only_the_difference_and_the_fence_are_sent(kube):
    await write(kube, MAP, size("2"), owner=APP, fence=7)
    assert [call.body for call in writes(kube)] == [{"data": {"size": "2"}, "metadata": {"annotations": {FENCE: "shop/app=u/7"}}}]


async def test_a_higher_fence_alone_writes_nothing(kube):
    await write(kube, MAP, size("2"), owner=APP, fence=7)
    kube.calls.clear()
    written = await write(kube, MAP, size("2"), owner=APP, fence=9)
    assert writes(kube) == []
    assert not written.changed


async def test_an_object_that_must_exist_is_created_with_its_fence(kube):
    await write(kube, Target(CONFIG_MAP, "shop", "new"), lambda found: found or a_map("new"), owner=APP, fence=7)
    assert (await kube.get(CONFIG_MAP, "shop", "new"))["metadata"]["annotations"] == {FENCE: "shop/app=u/7"}


async def test_an_object_that_must_not_exist_is_deleted_once(kube):
    for _ in range(2):
        assert (await write(kube, MAP, lambda _found: None, owner=APP, fence=7)).after is None
    assert [call.verb for call in writes(kube)] == ["delete"]


async def test_a_stale_request_is_dropped_even_if_it_would_change_nothing(kube):
    await write(kube, MAP, size("2"), owner=APP, fence=7)
    with pytest.raises(Stale, match="ConfigMap shop/web was last changed for decision 7, this request is of the older decision 6"):
        await write(kube, MAP, size("2"), owner=APP, fence=6)


async def test_after_a_conflict_it_is_decided_anew(kube):
    def meddle(call):
        kube.before = lambda _call: None
        stored = kube.snapshot(CONFIG_MAP, "shop")[0]
        kube.put(CONFIG_MAP, {**stored, "data": {"size": "1", "color": "red"}})

    kube.before = lambda call: meddle(call) if call.verb == "merge_patch" else None
    written = await write(kube, MAP, size("2"), owner=APP, fence=7)
    assert written.after["data"] == {"size": "2", "color": "red"}
    assert written.before["data"] == {"size": "1", "color": "red"}


async def test_an_object_created_or_deleted_meanwhile_is_decided_anew(kube):
    def appear(call):
        kube.before = lambda _call: None
        kube.put(CONFIG_MAP, a_map("new", size="0", color="green"))

    kube.before = lambda call: appear(call) if call.verb == "create" else None
    target = Target(CONFIG_MAP, "shop", "new")
    wanted = lambda found: size("2")(found or a_map("new"))  # noqa: E731
    assert (await write(kube, target, wanted, owner=APP, fence=7)).after["data"] == {"size": "2", "color": "green"}


async def test_endless_conflicts_end_in_a_retry_that_names_the_object(kube):
    def meddle(call):
        if call.verb == "merge_patch":
            stored = kube.snapshot(CONFIG_MAP, "shop")[0]
            kube.put(CONFIG_MAP, {**stored, "data": {"size": "1", "color": str(len(kube.calls))}})

    kube.before = meddle
    with pytest.raises(Retry, match="ConfigMap shop/web was changed by others"):
        await write(kube, MAP, size("2"), owner=APP, fence=7)
    assert len(writes(kube)) == ATTEMPTS


async def test_one_that_cannot_be_written_does_not_keep_the_others_from_it(kube):
    def refused(_found):
        raise Refused("lost does not exist")

    wishes = [(Target(CONFIG_MAP, "shop", "lost"), refused), (MAP, size("2"))]
    with pytest.raises(Refused, match="lost does not exist"):
        await write_each(kube, wishes, owner=APP, fence=7)
    assert (await kube.get(CONFIG_MAP, "shop", "web"))["data"]["size"] == "2"


async def test_each_write_is_told_at_once_with_its_place(kube):
    told = []
    lost = lambda _found: (_ for _ in ()).throw(Refused("lost does not exist"))  # noqa: E731
    wishes = [(Target(CONFIG_MAP, "shop", "lost"), lost), (MAP, size("2")), (MAP, size("2"))]
    with pytest.raises(Refused):
        await write_each(kube, wishes, owner=APP, fence=7, told=lambda place, written: told.append((place, written.changed)))
    assert told == [(1, True), (2, False)]


async def test_a_request_that_is_stale_anywhere_is_stale(kube):
    await kube.create(CONFIG_MAP, a_map("other", size="1"))
    other = Target(CONFIG_MAP, "shop", "other")
    await write_each(kube, [(MAP, size("2")), (other, size("2"))], owner=APP, fence=9)
    lost = lambda _found: (_ for _ in ()).throw(Refused("lost does not exist"))  # noqa: E731
    wishes = [(MAP, size("3")), (Target(CONFIG_MAP, "shop", "lost"), lost), (other, size("3"))]
    with pytest.raises(Stale, match=r"shop/web was last changed.*lost does not exist.*shop/other was last changed"):
        await write_each(kube, wishes, owner=APP, fence=7)


async def test_several_problems_are_told_together(kube):
    def refuse(call):
        if call.verb == "merge_patch":
            raise Forbidden("no rights", status=403)

    kube.before = refuse
    lost = lambda _found: (_ for _ in ()).throw(Refused("lost does not exist", lasting=True))  # noqa: E731
    with pytest.raises(Refused, match="lost does not exist; no rights") as told:
        await write_each(kube, [(Target(CONFIG_MAP, "shop", "lost"), lost), (MAP, size("2"))], owner=APP, fence=7)
    assert not told.value.lasting

"""What every Kubernetes API behind the verbs of `Kube` promises: one suite, over the in-memory one and a real API server."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest

from tidegate.kube.cache import Cache
from tidegate.kube.client import Kube
from tidegate.kube.credentials import load
from tidegate.kube.errors import AlreadyExists, Conflict, Gone, Invalid, NotFound, PreconditionFailed
from tidegate.kube.kinds import CONFIG_MAP, CRD, POD, SERVICE_ACCOUNT, Kind, version_of
from tidegate.kube.memory import MemoryKube
from tidegate_embedded import ControlPlane
from tidegate_embedded.testing import create_namespace, shared_control_plane

WIDGET = Kind("contract.tidegate.dev", "v1", "widgets", "Widget")  # with a status subresource
NOTE = Kind("contract.tidegate.dev", "v1", "notes", "Note")  # without


@dataclass(frozen=True)
class Api:
    kube: Kube | MemoryKube
    namespace: str

    def a(self, name: str, *, labels: dict[str, str] | None = None, **content) -> dict:
        return {"metadata": {"name": name, "namespace": self.namespace, "labels": labels or {"app": "web"}}, **content}


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    with shared_control_plane() as running:
        yield running


@contextlib.asynccontextmanager
async def in_memory(_request: pytest.FixtureRequest) -> AsyncIterator[Api]:
    yield Api(MemoryKube(without_status=[NOTE, CONFIG_MAP], user_agent="tidegate-contract/1"), "here")


@contextlib.asynccontextmanager
async def on_an_api_server(request: pytest.FixtureRequest) -> AsyncIterator[Api]:
    control_plane = request.getfixturevalue("control_plane")
    async with Kube(load(control_plane.kubeconfig), user_agent="tidegate-contract/1") as kube:
        for kind, subresources in ((WIDGET, {"status": {}}), (NOTE, {})):
            with contextlib.suppress(AlreadyExists):
                await kube.create(CRD, definition(kind, subresources))
            await until_served(kube, kind)
        yield Api(kube, create_namespace(control_plane))


@pytest.fixture(params=["memory", pytest.param("api-server", marks=pytest.mark.integration)])
async def api(request) -> AsyncIterator[Api]:
    opened = {"memory": in_memory, "api-server": on_an_api_server}[request.param]
    async with opened(request) as api:
        yield api


def definition(kind: Kind, subresources: dict) -> dict:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}, "subresources": subresources}
    names = {"plural": kind.plural, "singular": kind.kind.lower(), "kind": kind.kind}
    spec = {"group": kind.group, "scope": "Namespaced", "names": names, "versions": [version]}
    return {"metadata": {"name": f"{kind.plural}.{kind.group}"}, "spec": spec}


async def until_served(kube: Kube, kind: Kind) -> None:
    async with asyncio.timeout(300):
        while True:
            with contextlib.suppress(NotFound):
                await kube.list(kind)
                return
            await asyncio.sleep(0.1)


async def test_what_is_served_is_known_without_reading_it(api):
    assert await api.kube.serves(WIDGET)
    assert await api.kube.serves(CONFIG_MAP)


@pytest.mark.integration
@pytest.mark.parametrize("unknown", [Kind(group, "v1", "widgets", "Widget") for group in ("nobody.tidegate.dev", "apps")])
async def test_what_an_api_server_does_not_serve_is_known_too(control_plane, unknown):
    async with Kube(load(control_plane.kubeconfig), user_agent="tidegate-contract/1") as kube:
        assert not await kube.serves(unknown)


async def test_an_object_is_created_with_identity_and_read_back(api):
    created = await api.kube.create(WIDGET, api.a("w", spec={"size": 1}))
    assert created["apiVersion"] == "contract.tidegate.dev/v1"
    assert created["kind"] == "Widget"
    assert created["metadata"]["uid"]
    assert created["metadata"]["generation"] == 1
    assert await api.kube.get(WIDGET, api.namespace, "w") == created


async def test_an_absent_object_is_not_found(api):
    for attempt in (
        api.kube.get(WIDGET, api.namespace, "w"),
        api.kube.delete(WIDGET, api.namespace, "w"),
        api.kube.merge_patch(WIDGET, api.namespace, "w", {"spec": {}}),
        api.kube.json_patch(WIDGET, api.namespace, "w", [{"op": "add", "path": "/spec", "value": {}}]),
    ):
        with pytest.raises(NotFound):
            await attempt


async def test_a_second_create_of_the_same_name_already_exists(api):
    await api.kube.create(WIDGET, api.a("w"))
    with pytest.raises(AlreadyExists):
        await api.kube.create(WIDGET, api.a("w"))


async def test_a_create_that_names_a_version_is_invalid(api):
    obj = api.a("w")
    obj["metadata"]["resourceVersion"] = "1"
    with pytest.raises(Invalid):
        await api.kube.create(WIDGET, obj)


async def test_generate_name_completes_the_name(api):
    created = await api.kube.create(WIDGET, {"metadata": {"generateName": "w-", "namespace": api.namespace}})
    assert created["metadata"]["name"].startswith("w-")
    assert len(created["metadata"]["name"]) == len("w-") + 5


async def test_versions_grow_with_every_change_of_any_kind(api):
    first = await api.kube.create(WIDGET, api.a("w"))
    second = await api.kube.create(NOTE, api.a("n"))
    third = await api.kube.merge_patch(WIDGET, api.namespace, "w", {"spec": {"size": 2}})
    assert version_of(first) < version_of(second) < version_of(third)


async def test_a_patch_that_changes_nothing_keeps_the_version(api):
    created = await api.kube.create(WIDGET, api.a("w", spec={"size": 1}))
    same = await api.kube.merge_patch(WIDGET, api.namespace, "w", {"spec": {"size": 1}})
    assert version_of(same) == version_of(created)


async def test_a_merge_patch_merges_objects_replaces_lists_and_removes_nulls(api):
    await api.kube.create(WIDGET, api.a("w", spec={"size": 1, "color": "blue", "tags": ["a", "b"], "deep": {"x": 1}}))
    patched = await api.kube.merge_patch(WIDGET, api.namespace, "w", {"spec": {"color": None, "tags": ["c"], "deep": {"y": 2}}})
    assert patched["spec"] == {"size": 1, "tags": ["c"], "deep": {"x": 1, "y": 2}}


async def test_a_merge_patch_decided_from_an_older_version_is_a_conflict(api):
    created = await api.kube.create(WIDGET, api.a("w", spec={"size": 1}))
    await api.kube.merge_patch(WIDGET, api.namespace, "w", {"spec": {"size": 2}})
    with pytest.raises(Conflict):
        await api.kube.merge_patch(
            WIDGET, api.namespace, "w", {"spec": {"size": 3}}, resource_version=created["metadata"]["resourceVersion"]
        )
    assert (await api.kube.get(WIDGET, api.namespace, "w"))["spec"] == {"size": 2}


async def test_a_status_patch_decided_from_an_older_version_is_a_conflict(api):
    created = await api.kube.create(WIDGET, api.a("w", spec={"size": 1}))
    await api.kube.merge_patch(WIDGET, api.namespace, "w", {"spec": {"size": 2}})
    with pytest.raises(Conflict):
        await api.kube.merge_patch(
            WIDGET,
            api.namespace,
            "w",
            {"status": {"phase": "Old"}},
            subresource="status",
            resource_version=created["metadata"]["resourceVersion"],
        )


async def test_a_merge_patch_decided_from_the_current_version_succeeds(api):
    created = await api.kube.create(WIDGET, api.a("w", spec={"size": 1}))
    version = created["metadata"]["resourceVersion"]
    patched = await api.kube.merge_patch(WIDGET, api.namespace, "w", {"spec": {"size": 2}}, resource_version=version)
    assert patched["spec"] == {"size": 2}


async def test_the_main_resource_does_not_write_the_status(api):
    created = await api.kube.create(WIDGET, api.a("w", spec={"size": 1}, status={"phase": "Mine"}))
    assert "status" not in created
    patched = await api.kube.merge_patch(WIDGET, api.namespace, "w", {"spec": {"size": 2}, "status": {"phase": "Mine"}})
    assert "status" not in patched


async def test_the_status_subresource_writes_nothing_but_the_status(api):
    await api.kube.create(WIDGET, api.a("w", spec={"size": 1}))
    patched = await api.kube.merge_patch(
        WIDGET, api.namespace, "w", {"spec": {"size": 2}, "status": {"phase": "Done"}}, subresource="status"
    )
    assert patched["spec"] == {"size": 1}
    assert patched["status"] == {"phase": "Done"}


async def test_a_status_without_subresource_is_content_like_any_other(api):
    created = await api.kube.create(NOTE, api.a("n", status={"phase": "Running"}))
    assert created["status"] == {"phase": "Running"}
    patched = await api.kube.merge_patch(NOTE, api.namespace, "n", {"status": {"phase": "Done"}})
    assert patched["metadata"]["generation"] == 2
    with pytest.raises(NotFound):
        await api.kube.merge_patch(NOTE, api.namespace, "n", {"status": {"phase": "Late"}}, subresource="status")


async def test_a_generation_counts_changes_of_the_spec_only(api):
    await api.kube.create(WIDGET, api.a("w", spec={"size": 1}))
    labelled = await api.kube.merge_patch(WIDGET, api.namespace, "w", {"metadata": {"labels": {"x": "y"}}})
    assert labelled["metadata"]["generation"] == 1
    judged = await api.kube.merge_patch(WIDGET, api.namespace, "w", {"status": {"phase": "Done"}}, subresource="status")
    assert judged["metadata"]["generation"] == 1
    resized = await api.kube.merge_patch(WIDGET, api.namespace, "w", {"spec": {"size": 2}})
    assert resized["metadata"]["generation"] == 2


async def test_a_json_patch_whose_test_holds_is_carried_out(api):
    await api.kube.create(WIDGET, api.a("w", spec={"replicas": 1, "tags": ["a"]}))
    operations = [
        {"op": "test", "path": "/spec/replicas", "value": 1},
        {"op": "replace", "path": "/spec/replicas", "value": 5},
        {"op": "add", "path": "/spec/tags/-", "value": "b"},
        {"op": "add", "path": "/metadata/labels/example.com~1owner", "value": "us"},
    ]
    patched = await api.kube.json_patch(WIDGET, api.namespace, "w", operations)
    assert patched["spec"] == {"replicas": 5, "tags": ["a", "b"]}
    assert patched["metadata"]["labels"]["example.com/owner"] == "us"


async def test_a_json_patch_whose_test_fails_changes_nothing(api):
    created = await api.kube.create(WIDGET, api.a("w", spec={"replicas": 2}))
    operations = [
        {"op": "replace", "path": "/spec/replicas", "value": 5},
        {"op": "test", "path": "/spec/replicas", "value": 1},
    ]
    with pytest.raises(PreconditionFailed):
        await api.kube.json_patch(WIDGET, api.namespace, "w", operations)
    assert await api.kube.get(WIDGET, api.namespace, "w") == created


async def test_a_json_patch_that_tests_an_absent_field_fails_its_precondition(api):
    await api.kube.create(WIDGET, api.a("w", spec={}))
    with pytest.raises(PreconditionFailed):
        await api.kube.json_patch(WIDGET, api.namespace, "w", [{"op": "test", "path": "/spec/replicas", "value": 1}])


async def test_a_json_patch_of_an_absent_field_without_a_test_is_invalid(api):
    await api.kube.create(WIDGET, api.a("w", spec={}))
    with pytest.raises(Invalid):
        await api.kube.json_patch(WIDGET, api.namespace, "w", [{"op": "remove", "path": "/spec/replicas"}])


async def test_two_writers_with_the_same_test_cannot_both_win(api):
    await api.kube.create(WIDGET, api.a("w", spec={"replicas": 1}))

    def scaled_to(replicas: int):
        test = {"op": "test", "path": "/spec/replicas", "value": 1}
        return api.kube.json_patch(
            WIDGET, api.namespace, "w", [test, {"op": "replace", "path": "/spec/replicas", "value": replicas}]
        )

    results = await asyncio.gather(*(scaled_to(replicas) for replicas in range(2, 8)), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["PreconditionFailed"] * 5 + ["dict"]


async def test_a_delete_with_anothers_uid_is_a_conflict(api):
    created = await api.kube.create(WIDGET, api.a("w"))
    with pytest.raises(Conflict):
        await api.kube.delete(WIDGET, api.namespace, "w", uid="00000000-0000-0000-0000-000000000000")
    await api.kube.delete(WIDGET, api.namespace, "w", uid=created["metadata"]["uid"])
    with pytest.raises(NotFound):
        await api.kube.get(WIDGET, api.namespace, "w")


async def test_a_delete_decided_from_an_older_version_is_a_conflict(api):
    created = await api.kube.create(WIDGET, api.a("w"))
    await api.kube.merge_patch(WIDGET, api.namespace, "w", {"spec": {"size": 2}})
    with pytest.raises(Conflict):
        await api.kube.delete(WIDGET, api.namespace, "w", resource_version=created["metadata"]["resourceVersion"])


async def test_a_finalizer_holds_an_object_until_it_is_taken_off(api):
    obj = api.a("w")
    obj["metadata"]["finalizers"] = ["tidegate.dev/hold"]
    await api.kube.create(WIDGET, obj)
    await api.kube.delete(WIDGET, api.namespace, "w")
    assert (await api.kube.get(WIDGET, api.namespace, "w"))["metadata"]["deletionTimestamp"]
    await api.kube.merge_patch(WIDGET, api.namespace, "w", {"metadata": {"finalizers": None}})
    with pytest.raises(NotFound):
        await api.kube.get(WIDGET, api.namespace, "w")


async def test_dependents_go_with_their_owner(api):
    owner = await api.kube.create(WIDGET, api.a("w"))
    child = api.a("child", data={"x": "1"})
    child["metadata"]["ownerReferences"] = [
        {"apiVersion": WIDGET.api_version, "kind": "Widget", "name": "w", "uid": owner["metadata"]["uid"]}
    ]
    await api.kube.create(CONFIG_MAP, child)
    await api.kube.delete(WIDGET, api.namespace, "w")
    await until_gone(api, CONFIG_MAP, "child")


async def test_a_list_is_selected_by_namespace_and_labels(api):
    await api.kube.create(WIDGET, api.a("blue", labels={"color": "blue", "tier": "web"}))
    await api.kube.create(WIDGET, api.a("green", labels={"color": "green"}))

    async def names(labels: str | None) -> list[str]:
        items, version = await api.kube.list(WIDGET, api.namespace, labels)
        assert int(version) > 0
        assert all(item["kind"] == "Widget" and item["apiVersion"] == WIDGET.api_version for item in items)
        return [item["metadata"]["name"] for item in items]

    assert await names(None) == ["blue", "green"]
    assert await names("color=blue") == ["blue"]
    assert await names("tier") == ["blue"]
    assert await names("!tier") == ["green"]
    assert await names("color in (blue, green),color!=blue") == ["green"]
    assert await names("color notin (blue)") == ["green"]
    assert (await api.kube.list(WIDGET, "elsewhere"))[0] == []


async def test_items_of_a_list_say_what_they_are_even_for_built_in_kinds(api):
    await api.kube.create(CONFIG_MAP, api.a("c", data={"x": "1"}))
    items, _ = await api.kube.list(CONFIG_MAP, api.namespace, "app=web")
    assert [(item["apiVersion"], item["kind"]) for item in items] == [("v1", "ConfigMap")]


async def test_an_apply_creates_and_then_owns_exactly_what_it_names(api):
    applied = await api.kube.apply(WIDGET, api.a("w", spec={"a": 1, "b": 2}), field_manager="shifter")
    assert applied["spec"] == {"a": 1, "b": 2}
    applied = await api.kube.apply(WIDGET, api.a("w", spec={"a": 3}), field_manager="shifter")
    assert applied["spec"] == {"a": 3}


async def test_an_apply_leaves_the_fields_of_others_alone(api):
    await api.kube.create(WIDGET, api.a("w", spec={"theirs": 1}))
    applied = await api.kube.apply(WIDGET, api.a("w", spec={"ours": 2}), field_manager="shifter")
    assert applied["spec"] == {"theirs": 1, "ours": 2}


async def test_an_apply_takes_a_field_of_another_manager_only_by_force(api):
    await api.kube.create(WIDGET, api.a("w", spec={"size": 1}))
    with pytest.raises(Conflict):
        await api.kube.apply(WIDGET, api.a("w", spec={"size": 2}), field_manager="shifter", force=False)
    applied = await api.kube.apply(WIDGET, api.a("w", spec={"size": 2}), field_manager="shifter")
    assert applied["spec"] == {"size": 2}


async def test_an_apply_that_changes_nothing_keeps_the_version(api):
    first = await api.kube.apply(WIDGET, api.a("w", spec={"size": 1}), field_manager="shifter")
    again = await api.kube.apply(WIDGET, api.a("w", spec={"size": 1}), field_manager="shifter")
    assert version_of(again) == version_of(first)


async def test_a_service_account_token_can_be_asked_for(api):
    await api.kube.create(SERVICE_ACCOUNT, {"metadata": {"name": "sa", "namespace": api.namespace}})
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}}
    answer = await api.kube.create_subresource(SERVICE_ACCOUNT, api.namespace, "sa", "token", request)
    assert answer["status"]["token"]


async def test_an_evicted_pod_goes(api):
    containers = [{"name": "c", "image": "example.com/app:1"}]
    await api.kube.create(POD, api.a("p", spec={"containers": containers, "terminationGracePeriodSeconds": 0}))
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p", "namespace": api.namespace}}
    await api.kube.create_subresource(POD, api.namespace, "p", "eviction", eviction)
    await until_gone(api, POD, "p")


async def test_a_watch_tells_what_happened_since_a_version_in_order(api):
    _, version = await api.kube.list(WIDGET, api.namespace)
    await api.kube.create(WIDGET, api.a("w", spec={"size": 1}))
    await api.kube.merge_patch(WIDGET, api.namespace, "w", {"spec": {"size": 2}})
    await api.kube.delete(WIDGET, api.namespace, "w")
    heard = await events_of(api, version, 3)
    assert [event for event, _ in heard] == ["ADDED", "MODIFIED", "DELETED"]
    versions = [version_of(obj) for _, obj in heard]
    assert versions == sorted(set(versions))


async def test_an_object_that_leaves_the_selector_is_deleted_from_its_watch(api):
    _, version = await api.kube.list(WIDGET, api.namespace)
    await api.kube.create(WIDGET, api.a("w", labels={"color": "blue"}))
    left = await api.kube.merge_patch(WIDGET, api.namespace, "w", {"metadata": {"labels": {"color": "green"}}})
    (_, _), (event, obj) = await events_of(api, version, 2, labels="color=blue")
    assert event == "DELETED"
    assert version_of(obj) == version_of(left)


async def test_a_watch_from_a_forgotten_version_is_gone(api):
    if isinstance(api.kube, MemoryKube):
        await api.kube.create(WIDGET, api.a("w"))
        api.kube.compact()
    with pytest.raises(Gone):
        await events_of(api, "1" if isinstance(api.kube, Kube) else "0", 1)


async def test_a_cache_follows_what_is_written(api):
    await api.kube.create(WIDGET, api.a("w", spec={"size": 1}))
    cache = Cache(api.kube, WIDGET, namespace=api.namespace)
    heard = asyncio.Queue()
    cache.on_change(lambda event, _old, new: heard.put_nowait((event, new and new.get("spec"))))
    following = asyncio.create_task(cache.run())
    async with asyncio.timeout(300):
        await cache.synced.wait()
        await api.kube.merge_patch(WIDGET, api.namespace, "w", {"spec": {"size": 2}})
        await api.kube.delete(WIDGET, api.namespace, "w")
        assert [await heard.get() for _ in range(3)] == [
            ("ADDED", {"size": 1}),
            ("MODIFIED", {"size": 2}),
            ("DELETED", None),
        ]
    following.cancel()
    assert cache.all() == []


async def until_gone(api: Api, kind: Kind, name: str) -> None:
    async with asyncio.timeout(300):
        while True:
            try:
                await api.kube.get(kind, api.namespace, name)
            except NotFound:
                return
            await asyncio.sleep(0.1)


async def events_of(api: Api, version: str, count: int, *, labels: str | None = None) -> list:
    heard = []
    watching = api.kube.watch(WIDGET, api.namespace, labels, resource_version=version, seconds=300)
    async with contextlib.aclosing(watching):
        async for event, obj in watching:
            if event != "BOOKMARK":
                heard.append((event, obj))
            if len(heard) == count:
                break
    return heard

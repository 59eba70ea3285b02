"""What all writes of the shell have in common: the verbs, the caches that take the answers, the refusal, the namesake."""

from typing import Any, Protocol

from tidegate.kube.kinds import Kind
from tidegate_planner.pods import Lists
from tidegate_planner.seen import Seen
from tidegate_planner.world import World


class Writes(Lists, Protocol):
    """The part of `tidegate.kube.client.Kube` that is used here."""

    async def create(self, kind: Kind, obj: dict[str, Any]) -> dict[str, Any]: ...

    async def get(self, kind: Kind, namespace: str | None, name: str) -> dict[str, Any]: ...

    async def delete(
        self, kind: Kind, namespace: str | None, name: str, *, uid: str | None = None, resource_version: str | None = None
    ) -> dict[str, Any]: ...

    async def merge_patch(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        patch: dict[str, Any],
        *,
        subresource: str | None = None,
        resource_version: str | None = None,
    ) -> dict[str, Any]: ...

    async def json_patch(
        self, kind: Kind, namespace: str | None, name: str, operations: list[dict[str, Any]], *, subresource: str | None = None
    ) -> dict[str, Any]: ...


class Noted(Protocol):
    """A cache that takes the answers to our own writes, so that the next decision does not run on an older view."""

    def note_write(self, obj: dict[str, Any]) -> None: ...


class Refused(Exception):  # noqa: N818 - a fact, not an error: the world is not what the plan was made from
    """A precondition did not hold; wait for the watch."""


async def note_namesake(kube: Writes, world: World, seen: Seen, kind: Kind, name: str, cache: Noted) -> None:
    """Ours, and the cache was behind; or somebody else's, and the next name must differ (`argo-behaviour.md` 2.3, 10)."""
    found = await kube.get(kind, seen.namespace, name)
    owners = found["metadata"].get("ownerReferences") or ()
    if any(each.get("uid") == seen.uid for each in owners):
        cache.note_write(found)
    else:
        taken = world.taken_names
        taken[seen.uid] = taken.get(seen.uid, frozenset()) | {name}
    raise Refused(f"{kind.kind} {name} exists")

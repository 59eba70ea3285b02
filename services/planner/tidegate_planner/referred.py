"""The workloads that Rollouts refer to: a live view of each kind that is in use, begun by the first Rollout that refers to it.

A cluster without `workloadRef` pays nothing, one with it some hundred bytes and the template's text per object of that kind.
"""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from tidegate.errors import Retry
from tidegate.kube.cache import Cache
from tidegate.kube.kinds import DEPLOYMENT, POD_TEMPLATE, REPLICA_SET
from tidegate_planner.workloads import Reference

KINDS = {(each.group, each.kind): each for each in (DEPLOYMENT, REPLICA_SET, POD_TEMPLATE)}

Spawn = Callable[[Coroutine[Any, Any, None], str], None]


class Referred:
    """`caches` by group and kind; `spawn` runs one for as long as the process lives."""

    def __init__(self, caches: Mapping[tuple[str, str], Cache], spawn: Spawn) -> None:
        self._caches = caches
        self._spawn = spawn
        self._begun: set[tuple[str, str]] = set()

    def find(self, namespace: str, reference: Reference) -> dict[str, Any] | None:
        kind = (reference.group, reference.kind)
        cache = self._caches[kind]
        if kind not in self._begun:
            self._begun.add(kind)
            self._spawn(cache.run(), str(cache.kind))
        if not cache.synced.is_set():
            raise Retry(f"{cache.kind} are being listed", after=1.0)
        return cache.get(namespace, reference.name)

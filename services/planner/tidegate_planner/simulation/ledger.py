"""What must hold over a whole run, where one look cannot tell: an abort holds until somebody says otherwise (N5), a version that
was given up is not promoted behind everybody's back (I5, N26), and nothing goes to and fro (I8: two planners, or one with itself).

Rule of this file: it is told every change of the modelled cluster and who made it, and knows nothing of how they came about.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from tidegate_planner.seen import ReplicaSet, Service
from tidegate_planner.simulation.invariants import check

Json = Mapping[str, Any]

MOST_TURNS = 8
"""Up and down again this often between two deeds of a person or of fate is no way to anywhere."""


class Ledger:
    def __init__(self) -> None:
        self._given_up: set[str] = set()
        self._sizes: dict[str, list[int]] = defaultdict(list)
        self._targets: dict[str, list[str]] = defaultdict(list)
        self._seen: dict[str, ReplicaSet] = {}

    def somebody_acted(self) -> None:
        """From here on things may move in other directions than before."""
        self._sizes.clear()
        self._targets.clear()

    def status_changed(self, before: Json, after: Json, *, by_planner: bool) -> None:
        if not by_planner:
            self._a_person_spoke(before, after)
            return
        current, same = after.get("currentPodHash"), before.get("currentPodHash") == after.get("currentPodHash")
        if not same or before.get("currentStepHash") != after.get("currentStepHash"):
            self._given_up.discard(current or "")  # chosen anew
        elif before.get("abort") and not after.get("abort"):
            lifted = before.get("promoteFull") or after.get("stableRS") == current
            check(bool(lifted), "N5", f"the update to {current} was aborted, and went on by itself")
        if after.get("abort") and not before.get("abort") and current:
            self._given_up.add(current)
        promoted = after.get("stableRS")
        if promoted != before.get("stableRS") and before.get("stableRS") and not before.get("promoteFull"):
            check(promoted not in self._given_up, "I5", f"{promoted} was given up, and is stable now")

    def _a_person_spoke(self, before: Json, after: Json) -> None:
        """A retry, or the wish for all of it."""
        if (before.get("abort") and not after.get("abort")) or after.get("promoteFull"):
            self._given_up.discard(after.get("currentPodHash") or "")

    def set_changed(self, seen: ReplicaSet) -> None:
        before, self._seen[seen.name] = self._seen.get(seen.name), seen
        if before is not None and before.available and not seen.available and before.replicas <= seen.replicas:
            self.somebody_acted()  # fate: the last pod that served has crashed, and somebody else must serve in its place
        sizes = self._sizes[seen.name]
        if not sizes or sizes[-1] != seen.replicas:
            sizes.append(seen.replicas)
        fits = turns_in(sizes) <= MOST_TURNS
        check(fits, "flapping", f"{seen.name} was given the sizes {sizes}, and nobody had asked for anything")

    def service_changed(self, seen: Service) -> None:
        targets = self._targets[seen.name]
        if not targets or targets[-1] != seen.hash:
            targets.append(seen.hash)
        check(len(targets) <= MOST_TURNS, "flapping", f"the Service {seen.name} chose {targets}, and nobody had asked for anything")


def turns_in(sizes: Sequence[int]) -> int:
    return sum((b - a) * (c - b) < 0 for a, b, c in zip(sizes, sizes[1:], sizes[2:], strict=False))

"""Which finished children of a rollout are kept to be looked at (`argo-behaviour.md` 7.7): AnalysisRuns, and Experiments likewise.

Rule of this file: pure, and about finished ones only. Who is still in use the caller knows, and leaves out.
"""

from collections.abc import Collection, Iterable
from typing import Protocol, TypeVar

FINISHED = frozenset({"Successful", "Failed", "Error", "Inconclusive"})


class Child(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def phase(self) -> str: ...
    @property
    def hash(self) -> str: ...
    @property
    def created(self) -> str: ...


Kind = TypeVar("Kind", bound=Child)


def surplus(children: Iterable[Kind], *, revisions: Collection[str], successful: int, unsuccessful: int) -> list[Kind]:
    """Those beyond the newest so many of either end, and those of a revision whose ReplicaSet is gone."""
    left = {True: successful, False: unsuccessful}
    beyond = []
    finished = (each for each in children if each.phase in FINISHED)
    for each in sorted(finished, key=lambda child: (child.created, child.name), reverse=True):
        good = each.phase == "Successful"
        if each.hash not in revisions or left[good] <= 0:
            beyond.append(each)
        else:
            left[good] -= 1
    return beyond

"""How many pods each ReplicaSet of a canary should have (`argo-behaviour.md` 3.1 to 3.4).

Rule of this file: arithmetic on counts. No manifests, clock, network or logging. A function named `next_...` says what to ask
for in this pass, knowing which pods are available now; calling it again as pods become ready ends at `canary_split`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Literal

DEFAULT_SURGE = DEFAULT_UNAVAILABLE = "25"


@dataclass(frozen=True, slots=True)
class Count:
    """One ReplicaSet: `spec` is `.spec.replicas`, `available` is `.status.availableReplicas`."""

    spec: int
    available: int

    @property
    def serving(self) -> int:
        """A ReplicaSet just told to shrink still reports its old pods; those beyond `spec` are already doomed."""
        return min(self.spec, self.available)


_NONE = Count(0, 0)


@dataclass(frozen=True, slots=True)
class Budget:
    """How far a basic canary may stray from `spec.replicas`: `surge` pods above, `unavailable` pods below."""

    surge: int
    unavailable: int


def share(value: int | str, *, of: int, rounded_up: bool) -> int:
    """A count out of `of`. A bare integer is absolute; any text is a percentage, sign or no sign: "25" is 25 %, "3" is 3 %."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"{value!r} is neither a number of pods (1) nor a percentage ('25%')")  # noqa: TRY004 - bad input, not a bug
    if isinstance(value, int):
        return max(0, value)
    digits = value.replace("%", "")
    if not digits.isascii() or not digits.removeprefix("-").isdigit():
        raise ValueError(f"{value!r} is neither a number of pods (1) nor a percentage ('25%')")
    scaled = of * max(0, int(digits))
    return -(-scaled // 100) if rounded_up else scaled // 100


@lru_cache(maxsize=4096)
def budget(replicas: int, max_surge: int | str | None, max_unavailable: int | str | None) -> Budget:
    """Surge rounds up and unavailability down; if both come to 0 one pod may be unavailable, or nothing could ever move."""
    surge = share(DEFAULT_SURGE if max_surge is None else max_surge, of=replicas, rounded_up=True)
    unavailable = share(DEFAULT_UNAVAILABLE if max_unavailable is None else max_unavailable, of=replicas, rounded_up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return Budget(surge, min(unavailable, replicas))


@lru_cache(maxsize=4096)  # exact fractions cost 60 us, and a fleet asks for the same few splits all day
def canary_split(*, replicas: int, weight: int, surge: int, max_weight: int = 100) -> tuple[int, int]:
    """The (canary, stable) pods that come nearest to `weight` without routing, where pods are all the weight there is.

    With surge one pod more than `replicas` may be used for a better fit: (10, 25 %, surge 1) -> (3, 8). A tie goes to the canary:
    (10, 15 %) -> (2, 8). Strictly between 0 and `max_weight` no side of two or more pods is left empty: (2, 99 %) -> (1, 1).
    """
    if replicas == 0:
        return 0, 0
    may_empty = weight in (0, max_weight) or (replicas == 1 and surge == 0)
    candidates: list[tuple[int, int]] = []
    exact = Fraction(replicas * weight, max_weight)
    up, down = math.ceil(exact), math.floor(exact)
    for total in (replicas, replicas + 1) if surge > 0 else (replicas,):
        halfway = Fraction(total * weight, max_weight) % 1 == Fraction(1, 2)
        if up < total or may_empty:
            candidates.append((up, total))
        if not halfway and (down != 0 or may_empty):
            candidates.append((down, total))
    if (
        not candidates
    ):  # no surge, and the tie would empty stable: 95 % of 10 is 9 beside 1, where the peer would drop to 0 beside 10
        return down, replicas - down
    canary, total = min(candidates, key=lambda pair: abs(Fraction(pair[0] * max_weight, pair[1]) - weight))
    return canary, total - canary


def next_counts(  # noqa: PLR0913 - the whole state of a basic canary
    *,
    replicas: int,
    weight: int,
    budget: Budget,
    stable: Count | None,
    canary: Count | None,
    older: Sequence[Count],
    max_weight: int = 100,
    same: bool = False,
    floor: int = 0,
    beside: int = 0,
) -> tuple[int, int]:
    """What a basic canary asks for in this pass: (canary, stable). `same`: the stable ReplicaSet is the canary's own.

    `floor`: what stable keeps in the end, too. `beside`: pods out of the surge that serve and stay, whatever becomes of the others.

    10 replicas, weight 20, surge 2, unavailable 0, stable 10/10: first (2, 10); once the canary's two are available, (2, 8).
    """
    now, base = canary or _NONE, _NONE if same or stable is None else stable
    goal, base_goal = canary_split(replicas=replicas, weight=weight, surge=budget.surge - beside, max_weight=max_weight)
    base_goal = max(base_goal, floor)
    if same or stable is None:
        goal, base_goal = replicas, 0

    most, least = replicas + budget.surge - beside, replicas - budget.unavailable - beside
    room = max(0, most - now.spec - base.spec - sum(count.spec for count in older))
    grown_base = base.spec + min(room, max(0, base_goal - base.spec))  # stable first: it is the side that is known to work
    room -= grown_base - base.spec
    grown = now.spec + min(room, max(0, goal - now.spec))
    if canary is None:
        grown = 0
    if any(count.spec for count in older):
        return grown, grown_base

    if goal < now.spec:
        return _drained(now, base, goal=goal, kept=grown_base, most=most, least=least)
    if base_goal < base.spec:
        shrunk_base, kept = _drained(base, now, goal=base_goal, kept=grown, most=most, least=least)
        return kept, shrunk_base
    return grown, grown_base


def _drained(side: Count, other: Count, *, goal: int, kept: int, most: int, least: int) -> tuple[int, int]:
    """`side` shrunk towards `goal`, and what the other side (about to be `kept`) may have beside it.

    The drained side counts by `spec`: its crashing pods must not hold up their own removal. 10 replicas, surge 1, unavailable 0,
    stable 10/2 and canary 10/8: 8 canary pods serve, so 8 stable ones can go, and the pair is brought under 11 by asking the canary
    for 9: (9, 2).
    """
    spare = side.spec + other.serving - least
    if spare <= 0:
        return side.spec, kept
    shrunk = max(goal, side.spec - spare)
    fitted = max(0, kept - max(0, kept + shrunk - most))
    serving = min(side.available, shrunk) + min(other.available, fitted)
    fitted += min(max(0, other.available - fitted), max(0, least - serving))
    return shrunk - max(0, fitted + shrunk - most), fitted


def next_older_counts(
    *, replicas: int, budget: Budget, stable: Count | None, canary: Count | None, older: Sequence[Count], beside: int = 0
) -> list[int]:
    """What intermediate ReplicaSets (newest first, neither stable nor canary) keep in this pass of a basic canary.

    Their unavailable pods go at once; the rest goes as far as enough pods remain available elsewhere, those `beside` among them.
    """
    kept = [count.serving for count in older]
    serving = beside + sum(kept) + sum(count.serving for count in (stable, canary) if count)
    spare = max(0, serving - (replicas - budget.unavailable))
    for index, count in enumerate(kept):
        removed = min(count, spare)
        kept[index] -= removed
        spare -= removed
    return kept


def weight_to_replicas(*, weight: int, replicas: int, max_weight: int = 100) -> int:
    """The pods that carry `weight` of the routed traffic, rounded up."""
    return -(-weight * replicas // max_weight)


def min_pods(count: int, *, floor: int | None, replicas: int) -> int:
    """`minPodsPerReplicaSet` raises a count that is above 0, never beyond `replicas`."""
    return count if count == 0 or floor is None else max(count, min(floor, replicas))


@dataclass(frozen=True, slots=True)
class CanaryScale:
    """The `setCanaryScale` in force: one of both, or neither when the weight rules (`matchTrafficWeight`)."""

    replicas: int | None = None
    weight: int | None = None


@dataclass(frozen=True, slots=True)
class RecordedWeights:
    """`status.canary.weights` as persisted before this pass, so that pods follow traffic and never run ahead of it."""

    canary: int
    stable: int


def routed_counts(  # noqa: PLR0913 - the whole state of a routed canary
    *,
    replicas: int,
    weight: int,
    scale: CanaryScale | None = None,
    floor: int | None = None,
    dynamic: bool = False,
    recorded: RecordedWeights | None = None,
    aborted: bool = False,
    max_weight: int = 100,
) -> tuple[int, int]:
    """(canary, stable) under traffic routing. Surge is no bound: stable stays whole unless `dynamic` (`dynamicStableScale`)."""

    def pods(part: int) -> int:
        return weight_to_replicas(weight=part, replicas=replicas, max_weight=max_weight)

    if scale is not None and scale.replicas is not None:
        weight, canary = 0, scale.replicas  # pods asked for by number say nothing about traffic: stable must still carry all
    else:
        weight = weight if scale is None or scale.weight is None else scale.weight
        canary = min_pods(pods(weight), floor=floor, replicas=replicas)
    if not dynamic:
        return canary, replicas

    stable = pods(max_weight - weight)
    if recorded is not None:
        stable = max(stable, pods(recorded.stable))
        canary = max(canary, pods(recorded.canary)) if aborted else canary
    return min_pods(canary, floor=floor, replicas=replicas), min_pods(stable, floor=floor, replicas=replicas)


def stepped_down_weight(
    *,
    set_weights: Sequence[int],
    replicas: int,
    stable_available: int,
    canary_available: int,
    recorded: int,
    max_weight: int = 100,
) -> int:
    """The canary's weight while it gives its traffic back under `dynamicStableScale`: down the `setWeight` steps (3.3).

    Traffic leaves the canary as fast as stable pods come back, and never returns to it. Canary pods hold the walk up no longer
    than the traffic that is `recorded` for them takes: those that outlive it (a delay, a minimum of pods) would wait for the walk's
    end, and the walk for theirs (AR#4898).
    """

    def pods(weight: int) -> int:
        return weight_to_replicas(weight=weight, replicas=replicas, max_weight=max_weight)

    needed = max(replicas - stable_available, min(canary_available, pods(recorded)))
    return min(recorded, next((weight for weight in reversed(set_weights) if pods(weight) < needed), 0))


@dataclass(frozen=True, slots=True)
class ProgressThreshold:
    """`replicaProgressThreshold`: how much of the canary must be available for a step to be done. A negative value is none."""

    type: Literal["Percent", "Pods"]
    value: int


def enough_available(count: Count, *, desired: int, threshold: ProgressThreshold | None = None) -> bool:
    """Without a threshold all of them, no more and no fewer."""
    if threshold is None or threshold.value < 0:
        return count.spec == desired == count.available
    if threshold.type == "Pods":
        return count.available >= threshold.value
    return count.available * 100 >= threshold.value * desired


def at_desired_counts(  # noqa: PLR0913 - both sides, each with what it should be
    *,
    canary: Count | None,
    desired_canary: int,
    stable: Count | None,
    stable_created: int,
    desired_stable: int | None,
    older: Sequence[Count] = (),
    threshold: ProgressThreshold | None = None,
) -> bool:
    """Whether `setWeight` and `setCanaryScale` are done.

    `stable_created` is stable's `.status.replicas`: its pods must exist, but a crashing one must not block its successor.
    `desired_stable` None leaves stable out (`dynamicStableScale`). Give `older` for a basic canary only: there every pod serves.
    """
    if canary is None or not enough_available(canary, desired=desired_canary, threshold=threshold):
        return False
    if desired_stable is not None and (stable is None or not stable.spec == stable_created == desired_stable):
        return False
    return not any(count.available for count in older)

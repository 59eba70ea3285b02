"""The rollout's ReplicaSets by role, and what else one decision keeps looking up. Derived from what was seen, decides nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

from tidegate import keys
from tidegate.podtemplate import same_template
from tidegate.rollout import BlueGreen, Canary, Spec, revision_in
from tidegate_planner.conditions import ABORTED, TIMED_OUT
from tidegate_planner.progress import Progress
from tidegate_planner.replicas import Budget, Count, budget
from tidegate_planner.seen import ReplicaSet, Seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """`new` carries the wanted template and may not exist yet; `older` is every other one but stable, newest revision first."""

    new: ReplicaSet | None
    stable: ReplicaSet | None
    older: tuple[ReplicaSet, ...]

    @property
    def everyone(self) -> tuple[ReplicaSet, ...]:
        """Each ReplicaSet once, also where stable and new are the same."""
        first = () if self.new is None else (self.new,)
        second = () if self.stable is None or self.stable is self.new else (self.stable,)
        return (*first, *second, *self.older)


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """`canary` and `blue_green` are for the modules of that strategy; what serves both asks `strategy`.

    `entered`: where the update stood before this decision moved it on, which what others said until now is about.
    """

    seen: Seen
    spec: Spec
    roles: Roles
    progress: Progress
    now: float
    entered: Progress | None = None

    @property
    def strategy(self) -> Canary | BlueGreen:
        return self.spec.strategy

    @property
    def canary(self) -> Canary:
        if not isinstance(self.spec.strategy, Canary):
            raise TypeError("a blue-green update was asked for its canary")
        return self.spec.strategy

    @property
    def blue_green(self) -> BlueGreen:
        if not isinstance(self.spec.strategy, BlueGreen):
            raise TypeError("a canary was asked for its active and preview Services")
        return self.spec.strategy

    @property
    def budget(self) -> Budget:
        return budget(self.spec.replicas, self.canary.max_surge, self.canary.max_unavailable)

    @property
    def steps(self) -> int | None:
        """How many steps the plan has, None without any: the index then stays unset."""
        return number_of_steps(self.strategy)

    @property
    def was_retried(self) -> bool:
        """A person has just lifted an abort."""
        conditions = self.seen.status.get("conditions") or ()
        return not self.seen.status.get("abort") and any(each.get("reason") == ABORTED for each in conditions)

    @property
    def timed_out(self) -> bool:
        """The progress deadline had fired, when this was seen."""
        return any(each.get("reason") == TIMED_OUT for each in self.seen.status.get("conditions") or ())

    @property
    def new_count(self) -> Count:
        """The new ReplicaSet's pods; none while it is still to be created."""
        return self.roles.new.count if self.roles.new else Count(0, 0)

    @property
    def revision(self) -> int:
        """One above every other version's; a ReplicaSet that is used again gets a new, higher one (`argo-behaviour.md` 2.5).

        No lower than the Rollout remembers: whose view of the ReplicaSets is old would give a number twice. Where even the stable
        one is missing from the view, the number that the Rollout remembers is another version's.
        """
        new, recorded = self.roles.new, self.seen.status.get("currentPodHash")
        highest = max((each.revision for each in self.roles.everyone if each is not new), default=0)
        if new is not None:
            return max(new.revision, highest + 1)
        remembered = revision_in(self.seen.annotations) if recorded else 0
        progress = self.progress
        unseen = self.roles.stable is None and progress.stable_hash not in {"", progress.current_hash}
        return max(highest + 1, remembered + (unseen or recorded != progress.current_hash))

    @property
    def within_window(self) -> bool:
        """Whether this update goes back so little that it asks nobody and measures nothing (`rollbackWindow`)."""
        return within_window(self.spec.rollback_window, self.roles.new, self.roles.stable, self.seen.replica_sets)


def goes_back(new: ReplicaSet | None, stable: ReplicaSet | None) -> bool:
    """Whether an update leads to a version that came before the one it replaces."""
    return new is not None and stable is not None and _first_rolled_out(new) < _first_rolled_out(stable)


def within_window(revisions: int | None, new: ReplicaSet | None, stable: ReplicaSet | None, sets: Sequence[ReplicaSet]) -> bool:
    """Fewer than `revisions` versions lie between the one gone back to and the stable one (`argo-behaviour.md` 6.6)."""
    if not revisions or new is None or stable is None or not goes_back(new, stable):
        return False
    older, newer = _first_rolled_out(new), _first_rolled_out(stable)
    between = (each for each in sets if older < _first_rolled_out(each) < newer and keys.EXPERIMENT_NAME not in each.annotations)
    return sum(1 for _ in between) < revisions


def _first_rolled_out(replica_set: ReplicaSet) -> tuple[str, int]:
    """Orders versions by age. Times have whole seconds; of two within one the first number that each was given tells."""
    numbers = [*replica_set.annotations.get(keys.REVISION_HISTORY, "").split(","), str(replica_set.revision)]
    return replica_set.created, min((int(each) for each in numbers if each.isdigit()), default=0)


def number_of_steps(strategy: Canary | BlueGreen) -> int | None:
    return len(strategy.steps) or None if isinstance(strategy, Canary) else None


def new_replica_set(seen: Seen) -> ReplicaSet | None:
    """The ReplicaSet of the wanted template (`argo-behaviour.md` 2.1): by our hash, else by an equal template.

    The second finds those of the peer after a takeover, whose hash is computed differently; the oldest equal one wins, so
    that every replica of the planner picks the same.
    """
    by_hash = next((each for each in seen.replica_sets if each.hash == seen.template_hash), None)
    if by_hash is not None or not seen.replica_sets or seen.spec is None:
        return by_hash
    template = seen.spec.template
    known = (each for each in seen.replica_sets if each.template)
    equal = [each for each in known if same_template(template, each.template, ephemeral=each.put_in)]
    return min(equal, key=lambda each: (each.created, each.name), default=None)


def roles_of(seen: Seen, new: ReplicaSet | None, stable_hash: str) -> Roles:
    stable = next((each for each in seen.replica_sets if stable_hash and each.hash == stable_hash), None)
    others = [each for each in seen.replica_sets if each is not new and each is not stable]
    others.sort(key=lambda each: (each.revision, each.created, each.name), reverse=True)
    return Roles(new=new, stable=stable, older=tuple(others))

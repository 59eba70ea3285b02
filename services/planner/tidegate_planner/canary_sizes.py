"""How many pods each ReplicaSet of a canary gets in this pass: the arithmetic of `replicas` applied to a situation.

Rule of this file: pure. Without routing the budget rules, with routing the plan and the traffic (`argo-behaviour.md` 3.2 to 3.5).
"""

from dataclasses import replace

from tidegate_planner import delays, routing, service_pods
from tidegate_planner.replicas import next_counts, next_older_counts, weight_to_replicas
from tidegate_planner.seen import ReplicaSet
from tidegate_planner.situation import Situation
from tidegate_planner.targets import canary_scale, desired_counts, desired_weight, stays_to_the_end, surges_in_steps


def sizes(at: Situation, now: dict[str, int]) -> dict[str, int]:
    """`now`: what each ReplicaSet has, by hash. The result is what each is scaled to in this pass."""
    return _routed_sizes(at, now) if at.canary.traffic_routing else _basic_sizes(at, now)


def _basic_sizes(at: Situation, sizes: dict[str, int]) -> dict[str, int]:
    """Without routing: as far as the budget allows with the pods that serve now.

    One side moves, then the other is counted again, as in the peer's separate passes: 4 pods, weight 50, surge 1 give stable
    4 -> 3 and then the canary 0 -> 2 in one write, where a single count would stop at 1 and write twice.
    """
    roles, older, staying = at.roles, service_pods.others(at), service_pods.left_behind(at)
    same = roles.stable is None or roles.stable is roles.new
    stable = None if same or roles.stable is None else roles.stable.count
    canary = at.new_count
    refused = roles.new is None and at.progress.current_hash in at.seen.create_errors
    weight = 0 if refused else desired_weight(at.progress, at.canary)
    for _ in range(2):
        grown, kept = next_counts(
            replicas=at.spec.replicas,
            weight=weight,
            budget=at.budget,
            stable=stable,
            canary=canary,
            older=older,
            max_weight=at.canary.max_weight,
            same=same,
            floor=stays_to_the_end(at),
            beside=sum(staying.values()),
        )
        if stable is not None and kept != stable.spec:
            stable = replace(stable, spec=kept)
        else:
            canary = replace(canary, spec=grown)
    if roles.stable is not None and stable is not None:
        sizes[roles.stable.hash] = stable.spec
    sizes[at.progress.current_hash] = canary.spec
    shrunk = next_older_counts(
        replicas=at.spec.replicas,
        budget=at.budget,
        stable=stable,
        canary=canary,
        older=older,
        beside=sum(staying.values()),
    )
    sizes.update((each.hash, count + staying.get(each.hash, 0)) for each, count in zip(roles.older, shrunk, strict=True))
    return sizes


def _routed_sizes(at: Situation, sizes: dict[str, int]) -> dict[str, int]:
    """With routing pods follow the plan, not the surge; what is no longer wanted waits for its deadline (3.5).

    None goes below what its traffic takes.
    """
    roles, progress = at.roles, at.progress
    canary, stable = desired_counts(at)
    if roles.stable is not None and roles.stable is not roles.new and stable is not None:
        sizes[roles.stable.hash] = stable
    if not (progress.abort and delays.keeps_aborted(at)):
        sizes[progress.current_hash] = canary
    for each in roles.older:
        sizes[each.hash] = each.replicas if delays.lingers(at, each) else 0
    for each in roles.everyone:
        sizes[each.hash] = max(sizes[each.hash], min(each.replicas, _carried(at, each)))
    return {**sizes, progress.current_hash: _within_surge(at, sizes)}


def _within_surge(at: Situation, sizes: dict[str, int]) -> int:
    """Where the owner asked for `surge-in-steps`: what `maxSurge` lets come up at a time, and with `dynamicStableScale` be there
    beside the old pods (N17).

    One may come though the old ones leave no room, once nothing else is under way: weights are rounded to pods on both sides.
    """
    new, wanted = at.new_count, sizes[at.progress.current_hash]
    if not surges_in_steps(at) or wanted <= new.spec or at.progress.fully_promoted:
        return wanted
    coming = new.spec - new.serving
    room = max(1, at.budget.surge) - coming
    if at.canary.dynamic_stable_scale:
        others = sum(size for each, size in sizes.items() if each != at.progress.current_hash)
        under_way = coming > 0 or not routing.settled(at)
        room = min(room, max(at.spec.replicas + at.budget.surge - new.spec - others, 0 if under_way else 1))
    return min(wanted, new.spec + max(0, room))


def _carried(at: Situation, each: ReplicaSet) -> int:
    """The pods that a set needs for the traffic it may be getting now; unknown until the data plane is seen to have moved (N15).

    What the stable Service chooses gets traffic, whatever it is: its successor may have been promoted with no pods at all.

    Pods asked for by number (`setCanaryScale`) may be fewer than that, but not none (N22).
    """
    left_behind = each in at.roles.older and each.hash in service_pods.chosen(at)
    if left_behind or not routing.settled(at):
        return at.spec.replicas
    side = routing.canary_side(at)
    if each is not side.behind or side.weight == 0 or each is at.roles.stable:
        return 0
    scale = canary_scale(at.progress, at.canary)
    if scale is not None and scale.replicas is not None:
        return 1
    return weight_to_replicas(weight=side.weight, replicas=at.spec.replicas, max_weight=at.canary.max_weight)

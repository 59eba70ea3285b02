"""The traffic a rollout should have now, as one request to the traffic-shifter (`argo-behaviour.md` 3.7, 3.8).

Rule of this file: pure. The weight is computed once for all routers; what each of them needs to express it is the shifter's
business. Nothing is routed to a ReplicaSet without available pods, and no step passes before the shift was seen to happen.
`request_for`, `answered` and `service_target` serve every strategy, the rest a canary.
"""

import hashlib
from dataclasses import dataclass

from tidegate.messages import Destination, HeaderRoute, MirrorRoute, Router, ServiceTarget, Split, TrafficRequested
from tidegate.rollout import RouterConfig, SetHeaderRoute, SetMirrorRoute
from tidegate_planner import experiment_step, ping_pong
from tidegate_planner.replicas import weight_to_replicas
from tidegate_planner.seen import ASKED, ReplicaSet, Traffic
from tidegate_planner.situation import Situation
from tidegate_planner.targets import (
    counts_reached,
    desired_counts,
    recorded_additional,
    recorded_hash,
    recorded_weights,
    stepped_down,
    surges_in_steps,
    weight_at,
)


def wanted(at: Situation) -> TrafficRequested | None:
    """The whole request, or None where the rollout names neither Services nor routers, or nothing may be touched yet."""
    services = _service_targets(at)
    split = _split(at, _sides(at)) if at.canary.traffic_routing else None
    if not services and split is None:
        return None
    routers = tuple(_router(at, each, split) for each in at.canary.routers) if split else ()
    return request_for(at, services=services, routers=routers, split=split)


def _router(at: Situation, configured: RouterConfig, split: Split) -> Router:
    own = _split(at, _sides(at, configured.name))
    return Router(router=configured.name, config=dict(configured.config), split=None if own == split else own)


def request_for(
    at: Situation,
    *,
    services: tuple[ServiceTarget, ...],
    routers: tuple[Router, ...] = (),
    split: Split | None = None,
    about: str = "",
) -> TrafficRequested:
    """`digest` is of what is asked for, not of when: the shifter's answer to it stays good while the wish is the same.

    `about` tells apart wishes with the same content, where an answer to the former one must not pass for one to the latter.
    """
    request = TrafficRequested(
        namespace=at.seen.namespace,
        name=at.seen.name,
        uid=at.seen.uid,
        fence=at.seen.fence,
        digest="-",
        services=services,
        routers=routers,
        split=split,
    )
    content = request.model_dump_json(exclude={"fence", "digest", "made_from"}) + about
    digest = hashlib.blake2b(content.encode(), digest_size=8).hexdigest()
    return request.model_copy(update={"digest": digest})


def settled(at: Situation) -> bool:
    """Whether the data plane has moved to what this very situation wants. Always so without traffic routing."""
    if not at.canary.traffic_routing:
        return True
    request = wanted(at)
    return request is not None and answered(at, request)


def step_settled(at: Situation) -> bool:
    """Whether the data plane has moved to what the current step wants, and not only away from a revision that was interrupted."""
    return settled(at) and not (at.canary.traffic_routing and _takes_over(at, _recorded_side(at)))


def answered(at: Situation, request: TrafficRequested) -> bool:
    """Whether the traffic-shifter has said that it did this very thing."""
    traffic = at.seen.traffic
    return traffic is not None and traffic.digest == request.digest and traffic.state == "applied"


def awaited(at: Situation, request: TrafficRequested | None) -> Traffic | None:
    """What the traffic-shifter last said of this very request, if it is not done."""
    traffic = at.seen.traffic
    if request is None or traffic is None or traffic.digest != request.digest:
        return None
    return None if traffic.state in {ASKED, "applied"} else traffic


# --- Services ----------------------------------------------------------------------------------------------------------


def _service_targets(at: Situation) -> tuple[ServiceTarget, ...]:
    canary, progress = at.canary, at.progress
    named = canary.stable_service or canary.canary_service or ping_pong.is_on(canary)
    if not named or (progress.inconclusive and not canary.traffic_routing):
        return ()
    side = canary_side(at)
    to_canary = side.behind if canary.traffic_routing and side.weight else at.roles.stable if progress.abort else at.roles.new
    to_canary = _still_there(at, to_canary)
    pairs = ((canary.stable_service, at.roles.stable), (canary.canary_service, to_canary))
    targets = [service_target(at, service, chosen) for service, chosen in pairs]
    if ping_pong.is_on(canary):
        targets += _ping_pong_targets(at, side)
    return tuple(target for target in targets if target is not None)


def _still_there(at: Situation, chosen: ReplicaSet | None) -> ReplicaSet | None:
    """What the canary Service stays on while the routers were last seen to send it more than its next pods carry (N6): they may
    be asked to send less in the same request, and fail."""
    held = _recorded_side(at)
    if not at.canary.traffic_routing or held.behind is None or chosen is None or chosen is held.behind:
        return chosen
    needed = weight_to_replicas(weight=held.weight, replicas=at.spec.replicas, max_weight=at.canary.max_weight)
    return chosen if chosen.available >= needed else held.behind


def _ping_pong_targets(at: Situation, side: "Side") -> list[ServiceTarget | None]:
    """The canary's Service chooses its pods before they are ready: a load balancer may make them ready only once they are
    registered with it. While it has traffic it is switched like any other, onto pods that serve."""
    stable_service, canary_service = ping_pong.sides(at)
    stable, new = service_target(at, stable_service, at.roles.stable), at.roles.new
    if at.progress.fully_promoted:
        return [stable]
    recorded = recorded_weights(at)
    has_traffic = at.canary.traffic_routing and recorded is not None and recorded.canary > 0
    if new is not None and not has_traffic and not side.weight:
        return [stable, ServiceTarget(service=canary_service, hash=new.hash)]
    return [stable, service_target(at, canary_service, side.behind if side.weight else new)]


def _sides(at: Situation, router: str = "") -> tuple[str, str]:
    """The names of the stable and the canary side as a router divides traffic between them: ALB prefers ping and pong, the others
    take them where there is nothing else (3.7)."""
    plain = (at.canary.stable_service, at.canary.canary_service)
    return ping_pong.sides(at) if ping_pong.is_on(at.canary) and (router == "alb" or not any(plain)) else plain


def service_target(at: Situation, service: str, chosen: ReplicaSet | None) -> ServiceTarget | None:
    """A Service is adopted only onto a full ReplicaSet, and switched only onto one that serves (N14); else it stays as it is."""
    seen = at.seen.services.get(service)
    if not service or seen is None:
        return None
    serving = chosen is not None and (chosen.available > 0 if seen.managed_by else 0 < chosen.replicas <= chosen.available)
    target = chosen.hash if chosen is not None and serving else seen.hash
    return ServiceTarget(service=service, hash=target) if target else None


# --- weights -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Side:
    """The canary's side of the split: its weight, and the ReplicaSet that gets it."""

    weight: int
    behind: ReplicaSet | None


def canary_side(at: Situation) -> Side:
    """The first rule of 3.8 that fits; a share that stable could not carry is not given to it.

    What is kept may be the share of an interrupted revision: a third one, or the way back to a stable that was scaled down,
    must not throw all traffic on too few pods (N6), least of all on a stable version that somebody deleted. What stable loses is no
    burden to it: a good version gets out (N4).
    """
    held, stable = _recorded_side(at), at.roles.stable
    ruled = _ruled(at, held)
    share = (at.canary.max_weight - ruled.weight) * at.spec.replicas // at.canary.max_weight
    serving = stable.available if stable else 0
    if _takes_over(at, held) and serving >= at.spec.replicas:
        return Side(0, ruled.behind)
    if serving >= share:
        return ruled
    return held if held.weight > ruled.weight and held.behind is not stable else ruled


def _takes_over(at: Situation, held: Side) -> bool:
    """Whether a newer revision interrupts one that has traffic. It begins with none, as every one does: where stable can carry all,
    the traffic is seen to be back there first, however soon the new pods serve. With `dynamicStableScale` stable grows with it."""
    return held.weight > 0 and held.behind in at.roles.older and not at.canary.dynamic_stable_scale


def _ruled(at: Situation, held: Side) -> Side:
    """An update that goes back to a stable version which was scaled down gives the traffic back step by step (3.8, first row)."""
    stable = at.roles.stable
    interrupted = at.progress.fully_promoted and held.weight > 0 and held.behind is not stable
    if interrupted and at.canary.dynamic_stable_scale and stable is not None and stable.available < at.spec.replicas:
        weight = stepped_down(at, held.behind)
        return Side(weight, held.behind if weight else at.roles.new)
    return Side(_rule_weight(at), at.roles.new)


def _recorded_side(at: Situation) -> Side:
    """What the data plane was last seen to give a canary that still serves."""
    recorded, named = recorded_weights(at), recorded_hash(at)
    behind = next((each for each in at.roles.everyone if each.hash == named and each.available > 0), None)
    return Side(recorded.canary if recorded and behind else 0, behind)


def _rule_weight(at: Situation) -> int:
    progress, canary = at.progress, at.canary
    available = at.roles.new.available if at.roles.new else 0
    if progress.abort and canary.dynamic_stable_scale:
        return stepped_down(at, at.roles.new)
    if progress.fully_promoted or progress.abort or available == 0:
        return 0
    if progress.promote_full or at.within_window:  # no steps: the pods come first, then all of the traffic at once
        if canary.dynamic_stable_scale:
            return canary.max_weight * min(available, at.spec.replicas) // max(1, at.spec.replicas)
        return _recorded_side(at).weight if recorded_hash(at) == progress.current_hash else 0
    index = progress.step_index
    if index is None:
        return 0  # no steps: the stable Service moves at promotion
    goal = weight_at(index, canary) if index < len(canary.steps) else canary.max_weight
    if desired_counts(at)[0] == 0:
        return 0  # a canary that is about to lose its last pod loses its traffic first (N22)
    if counts_reached(at):
        return goal
    if surges_in_steps(at) and canary.dynamic_stable_scale:
        return min(goal, _carried_now(at))  # the old pods go as the new ones come, so traffic goes with them
    return min(goal, weight_at(index - 1, canary) if index > 0 else 0, _carried_now(at))


def _carried_now(at: Situation) -> int:
    """What the canary has, or its pods can carry: pods come before traffic and go after it (N16), even where steps are skipped."""
    available = at.roles.new.available if at.roles.new else 0
    recorded = recorded_weights(at) if recorded_hash(at) == at.progress.current_hash else None
    return max(recorded.canary if recorded else 0, at.canary.max_weight * available // max(1, at.spec.replicas))


def _split(at: Situation, services: tuple[str, str]) -> Split:
    """`services`: the stable side's and the canary side's."""
    canary, side = at.canary, canary_side(at)
    stable_service, canary_service = services
    additional = _experiments(at, canary.max_weight - side.weight)
    managed, rest = _canary_serves(at), canary.max_weight - side.weight - sum(each.weight for each in additional)
    return Split(
        canary=Destination(weight=side.weight, service=canary_service or None, hash=_hash(side.behind)),
        stable=Destination(weight=rest, service=stable_service or None, hash=_hash(at.roles.stable)),
        additional=additional,
        header_routes=_header_routes(at) if managed else (),
        mirror_routes=_mirror_routes(at) if managed else (),
        managed_routes=canary.managed_routes,
        max_weight=canary.max_weight,
    )


def _experiments(at: Situation, room: int) -> tuple[Destination, ...]:
    """They come out of stable's share. Validation has seen to it that there is room beside the plan's weights; beside one that is
    held from an interrupted revision there may be none, and then experiments wait, as they do until traffic was seen anywhere."""
    wanted = experiment_step.destinations(at) if recorded_weights(at) else ()
    chosen = wanted or _kept_by_experiments(at, room)
    return chosen if sum(each.weight for each in chosen) <= room else ()


def _kept_by_experiments(at: Situation, room: int) -> tuple[Destination, ...]:
    """What pods of an experiment that is over still have, while stable could not carry it (N16)."""
    stable, needed = at.roles.stable, room * at.spec.replicas // at.canary.max_weight
    if (stable.available if stable else 0) >= needed:
        return ()
    serving = {pods.hash for each in at.seen.experiments for pods in each.pods if pods.available > 0}
    return tuple(each for each in recorded_additional(at) if each.weight and each.hash in serving)


def _canary_serves(at: Situation) -> bool:
    """Header and mirror routes exist only while an update runs and its pods can answer."""
    progress = at.progress
    ended = progress.fully_promoted or progress.abort or progress.promote_full or at.within_window
    return not ended and at.roles.new is not None and at.roles.new.available > 0


def _hash(replica_set: ReplicaSet | None) -> str:
    return replica_set.hash if replica_set else ""


def _header_routes(at: Situation) -> tuple[HeaderRoute, ...]:
    """Those that the steps up to now have set and not removed again."""
    routes: dict[str, HeaderRoute] = {}
    for step in at.canary.asked(until=at.progress.step_index or 0):
        if isinstance(step, SetHeaderRoute):
            routes.pop(step.name, None)
            if step.match:
                routes[step.name] = HeaderRoute(name=step.name, match=tuple(dict(each) for each in step.match))
    return tuple(routes.values())


def _mirror_routes(at: Situation) -> tuple[MirrorRoute, ...]:
    routes: dict[str, MirrorRoute] = {}
    for step in at.canary.asked(until=at.progress.step_index or 0):
        if isinstance(step, SetMirrorRoute):
            routes.pop(step.name, None)
            if step.match:
                match = tuple(dict(each) for each in step.match)
                routes[step.name] = MirrorRoute(name=step.name, match=match, percentage=step.percentage)
    return tuple(routes.values())

"""What an autoscaler is told about a rollout, in the scale subresource (`status.HPAReplicas` and `status.selector`, 11.2).

Rule of this file: pure. During a routed canary there are up to twice as many pods as were asked for, and all of them are told by
default, as the peer does. An autoscaler that divides a metric of the whole application by that number asks for as many as it was
told, gets a canary on top, and so on to its maximum (AR#2857, AR#4847). So the owner may say what counts
(`tidegate.dev/autoscaler-counts`):

    wanted   no more than `spec.replicas`, of whichever version; every pod can still be measured. For load: CPU, requests
    stable   the stable version alone, count and pods, for as long as it is whole. For what each pod has whatever its load: memory
"""

from collections.abc import Mapping
from typing import Any

from tidegate import keys
from tidegate.rollout import Canary
from tidegate_planner.seen import ReplicaSet
from tidegate_planner.situation import Situation
from tidegate_planner.strategies import strategy_of

Json = Mapping[str, Any]


def counted(at: Situation) -> int:
    """Pods, for `status.HPAReplicas`."""
    stable = _stable_alone(at)
    if stable is not None:
        return stable.current
    told = sum(each.current for each in strategy_of(at).serving(at) or at.roles.everyone)
    return min(told, at.spec.replicas) if _asked(at) is not None else told


def selector(at: Situation) -> Json:
    stable, whole = _stable_alone(at), strategy_of(at).scale_selector(at)
    if stable is None:
        return whole
    return {**whole, "matchLabels": {**(whole.get("matchLabels") or {}), keys.POD_TEMPLATE_HASH: stable.hash}}


def _asked(at: Situation) -> str | None:
    """Blue-green has one version with users at any time, and tells of that one anyway."""
    return at.seen.annotations.get(keys.AUTOSCALER_COUNTS) if isinstance(at.strategy, Canary) else None


def _stable_alone(at: Situation) -> ReplicaSet | None:
    """Without routing, and with `dynamicStableScale`, stable shrinks as the canary grows: it says nothing about the whole."""
    whole = isinstance(at.strategy, Canary) and at.canary.traffic_routing and not at.canary.dynamic_stable_scale
    return at.roles.stable if whole and _asked(at) == "stable" else None

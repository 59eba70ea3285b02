"""What the controllers of a Gateway API route say of it: did they take over its newest generation? Pure.

`status.parents[]` has an entry for each parent and controller. What counts, and what each implementation makes of it:

* Only parents that the spec still names: entries of former ones are often left behind.
* `Accepted` and `ResolvedRefs`, which all write; `Programmed` (Kong) and `Reconciled` (Google Cloud) where they are, since these
  come after the data plane was told; `PartiallyInvalid`, which says that rules were left out. Google's load balancers go on with
  the former configuration while `Reconciled` is False and `Accepted` True (gateway-api#642; Argo CD reads it so in #26129).
* The generation is in each condition. Linkerd's policy controller leaves it out, as do the routes that users of Google Cloud show,
  so what these say may be of any time: they can refuse, but they cannot confirm.
* HAProxy Ingress writes no status of any route (its page on the Gateway API, "Conformance"), so there is nothing to wait for.
  HAProxy's own Unified Gateway writes the usual two, with the generation.
* A parent that does not admit the route carries none of its traffic, and is nothing to wait for while another one does.
* `PartiallyInvalid` is no complaint where only rules were left out whose every match an earlier rule has: the earlier one serves by
  the API's own precedence. A mirror of all requests stands before the rule it mirrors, and Contour calls that a conflict.
* A reference that cannot be resolved answers with errors. Nothing goes to a canary before all are; what leaves it does not wait.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tidegate.kube.kinds import Object

Json = Mapping[str, Any]

GOOD: Final = ("Accepted", "ResolvedRefs", "Programmed", "Reconciled")
BAD: Final = "PartiallyInvalid"
NOT_ATTACHED: Final = frozenset(
    {"NotAllowedByListeners", "NoMatchingListenerHostname", "NoMatchingParent", "InvalidListener", "InvalidKind"}
)
"""Reasons of `Accepted: False` that are about the parent's doors, not about what the route says."""


@dataclass(frozen=True, slots=True)
class _Told:
    """Of one parent. `attached` is False where it carries nothing of the route."""

    verified: bool | None
    message: str = ""
    attached: bool = True


def acceptance(manifest: Object, *, leaves_canary: bool = False) -> tuple[bool | None, str]:
    """Whether the route's controllers took over its newest generation, and what they object to; None where none can be asked."""
    generation = manifest["metadata"].get("generation", 0)
    bearable = frozenset({"ResolvedRefs"} if leaves_canary else ()) | (
        {BAD} if _leaves_out_only_what_never_serves(manifest) else set()
    )
    told = [_of_parent(each, generation, bearable) for each in _current_parents(manifest)]
    if any(each.attached for each in told):
        told = [each for each in told if each.attached]
    problem = next((each.message for each in told if each.verified is False), "")
    if problem:
        return False, problem
    return (True if any(each.verified for each in told) else None), ""


def _of_parent(parent: Json, generation: int, bearable: frozenset[str]) -> _Told:
    who = parent.get("controllerName") or "its controller"
    held = {each.get("type"): each for each in parent.get("conditions") or ()}
    accepted = held.get("Accepted") or {}
    if accepted.get("status") == "False" and accepted.get("reason") in NOT_ATTACHED:
        return _Told(verified=False, message=f"{who}: {_words(accepted)}", attached=False)
    known: list[Json] = [held[kind] for kind in (*GOOD, BAD) if kind in held]
    seen = [each["observedGeneration"] for each in known if each.get("observedGeneration")]
    if seen and min(seen) < generation:
        return _Told(verified=False, message=f"{who} has seen generation {min(seen)} of {generation}")
    for each in known:
        if not _is_well(each) and each["type"] not in bearable:
            return _Told(verified=False, message=f"{who}: {_words(each)}")
    return _Told(verified=True if seen else None)


def _is_well(condition: Json) -> bool:
    return (condition.get("status") == "True") is (condition["type"] != BAD)


def _leaves_out_only_what_never_serves(manifest: Object) -> bool:
    """Whether some rule repeats matches of earlier ones, and each that repeats any repeats them all."""
    seen: list[Json] = []
    shadowed: list[bool] = []
    for rule in manifest["spec"].get("rules") or ():
        matches = rule.get("matches") or [{}]
        repeated = [match in seen for match in matches]
        shadowed += [all(repeated)] if any(repeated) else []
        seen += matches
    return bool(shadowed) and all(shadowed)


def _words(condition: Json) -> str:
    words = f"{condition['type']} is {condition.get('status')}: {condition.get('reason', '')} {condition.get('message', '')}"
    return words.rstrip().rstrip(":")


def _current_parents(manifest: Object) -> Iterator[Json]:
    named = (manifest.get("spec") or {}).get("parentRefs")
    for each in (manifest.get("status") or {}).get("parents") or ():
        if named is None or any(_is_same(ref, each.get("parentRef") or {}, manifest) for ref in named):
            yield each


def _is_same(ref: Json, told: Json, manifest: Object) -> bool:
    """Section and port are compared where both sides have them: not every controller repeats them."""
    if _parent(ref, manifest) != _parent(told, manifest):
        return False
    return all(ref.get(key) == told.get(key) for key in ("sectionName", "port") if ref.get(key) and told.get(key))


def _parent(ref: Json, manifest: Object) -> tuple[Any, ...]:
    """Linkerd writes the core group as `core`, users leave defaults out."""
    group = ref.get("group", "gateway.networking.k8s.io")
    home = manifest["metadata"].get("namespace")
    return "" if group == "core" else group, ref.get("kind", "Gateway"), ref.get("namespace") or home, ref.get("name")

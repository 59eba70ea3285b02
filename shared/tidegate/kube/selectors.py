"""Label selectors in the API's text form, as in `app=web,tier!=cache,env in (a, b),!legacy`. Pure.

The cache needs them to keep an answer to our own write out of a filtered view; the in-memory API to list as the server would.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

from tidegate.kube.errors import Invalid

Requirement = Callable[[Mapping[str, str]], bool]

_COMMA_OUTSIDE_PARENTHESES = re.compile(r",(?![^()]*\))")
_SET = re.compile(r"^(?P<key>\S+)\s+(?P<op>in|notin)\s*\((?P<values>[^()]*)\)$")
_EQUAL = re.compile(r"^(?P<key>[^\s=!]+)\s*(?P<op>==|=|!=)\s*(?P<value>[^\s=!]*)$")
_EXISTS = re.compile(r"^(?P<absent>!?)\s*(?P<key>[^\s=!(),]+)$")


def labels_match(selector: str | None, labels: Mapping[str, str] | None) -> bool:
    """Whether a label set satisfies every requirement; no selector matches everything."""
    if not selector:
        return True
    held = labels or {}
    return all(requirement(held) for requirement in _requirements(selector))


def selector_text(match_labels: Mapping[str, str]) -> str:
    """`matchLabels` as a query value."""
    return ",".join(f"{key}={value}" for key, value in sorted(match_labels.items()))


@lru_cache(maxsize=256)
def _requirements(selector: str) -> tuple[Requirement, ...]:
    return tuple(_requirement(part.strip()) for part in _COMMA_OUTSIDE_PARENTHESES.split(selector))


def _requirement(text: str) -> Requirement:
    if found := _SET.match(text):
        key, values = found["key"], frozenset(value.strip() for value in found["values"].split(","))
        if found["op"] == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if found := _EQUAL.match(text):
        key, value = found["key"], found["value"]
        if found["op"] == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    if found := _EXISTS.match(text):
        key, wanted = found["key"], not found["absent"]
        return lambda labels: (key in labels) is wanted
    right = "a=b, a!=b, a in (b,c), a notin (b,c), a or !a"
    raise Invalid(f"label selector {text!r} is not understood; it must be like {right}", status=400)

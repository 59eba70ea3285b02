"""Managed routes in whatever words a router has for them. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from tidegate.messages import HeaderRoute, MirrorRoute
from tidegate_shifter.router import Refused

ManagedRoute = HeaderRoute | MirrorRoute

FORMS: Final = ("exact", "prefix", "regex")


def in_order(routes: Iterable[ManagedRoute], order: tuple[str, ...]) -> list[ManagedRoute]:
    """By their place in `managedRoutes`, which is their priority."""
    return sorted(routes, key=lambda each: order.index(each.name) if each.name in order else len(order))


def string_match(route: str, what: str, value: Mapping[str, Any]) -> tuple[str, str]:
    """Its form and its text."""
    for form in FORMS:
        if value.get(form):
            return form, value[form]
    raise Refused(
        f"managed route {route!r}: {what} has the value {dict(value)!r}; it must have exact, prefix or regex", lasting=True
    )

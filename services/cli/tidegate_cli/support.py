"""What this version can do, read off the adapters themselves: each declares its features in its own file, and nowhere else.

`tidegate support` shows it, docs/support.md is written from it (`make docs`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tidegate_analyzer.providers import PROVIDERS
from tidegate_notifier.channels import CHANNELS
from tidegate_notifier.channels.kube_event import KubeEvents
from tidegate_shifter.router import Feature
from tidegate_shifter.routers import ROUTERS

FOR_TESTS: Final = "tidegate/memory"
YES, NO = "yes", "-"

COLUMNS: Final[Mapping[Feature, str]] = {
    Feature.HEADER_ROUTES: "header routes",
    Feature.MIRROR_ROUTES: "mirror routes",
    Feature.ADDITIONAL_DESTINATIONS: "experiment weights",
    Feature.MAX_WEIGHT: "maxTrafficWeight",
    Feature.VERIFICATION: "verified by the data plane",
    Feature.STICKINESS: "sticky on both sides",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Support:
    """`routers`: name -> feature -> what is to be said of it, "" for nothing; a feature that is not there is not supported."""

    routers: Mapping[str, Mapping[Feature, str]]
    providers: Mapping[str, tuple[str, ...]]
    channels: Mapping[str, tuple[str, ...]]


def supported() -> Support:
    return Support(
        routers={name: _features(router) for name, router in sorted(ROUTERS.items()) if name != FOR_TESTS},
        providers={name: _offers(provider) for name, provider in sorted(PROVIDERS.items())},
        channels={"kubernetes events": KubeEvents.offers} | {name: _offers(channel) for name, channel in sorted(CHANNELS.items())},
    )


def _features(router: Any) -> dict[Feature, str]:
    return {feature: router.remarks.get(feature, "") for feature in Feature if feature in router.supports}


def _offers(adapter: Any) -> tuple[str, ...]:
    """Of a class, or of the class whose method makes one."""
    offers: tuple[str, ...] = getattr(adapter, "__self__", adapter).offers
    return offers


def as_json(support: Support) -> dict[str, Any]:
    """A feature is true, or what is to be said of it."""
    return {
        "routers": {
            name: {feature.value: (features[feature] or True) if feature in features else False for feature in Feature}
            for name, features in support.routers.items()
        },
        "providers": {name: list(offers) for name, offers in support.providers.items()},
        "channels": {name: list(offers) for name, offers in support.channels.items()},
    }


def cells(support: Support) -> list[list[str]]:
    """The table of the routers, without its head."""
    return [[name, YES, *(_cell(features, feature) for feature in COLUMNS)] for name, features in support.routers.items()]


HEAD: Final = ["router", "weights", *COLUMNS.values()]


def _cell(features: Mapping[Feature, str], feature: Feature) -> str:
    if feature not in features:
        return NO
    return f"{YES}: {remark}" if (remark := features[feature]) else YES


INTRODUCTION: Final = """\
# What is supported

Written by `make docs` from the adapters; `tidegate support` prints the same, `-o json` for machines. How routers differ from Argo Rollouts': [differences.md](differences.md#traffic).
Which of them carried requests of a real data plane in the tests, and which met their objects' definitions only: [traffic.md](traffic.md).

## Traffic routers
"""  # noqa: E501 - a paragraph is a line

NOTES: Final = """\
Verified by the data plane: the router, or whoever runs it, is asked whether it took over what was written, and no step passes before. Where nobody can be asked, what was written is
read back from its object.

Sticky on both sides: users stay on the version they met, be it stable or canary. It is opted into with the fields of the router that the table names; without it every request is
divided anew. Affinity to a pod, such as Istio's `consistentHash`, is another thing: the weights are drawn before it.
"""  # noqa: E501


def as_markdown(support: Support) -> str:
    """docs/support.md."""
    parts = [INTRODUCTION, _markdown_table(HEAD, cells(support)), NOTES]
    for title, listed in (("Metric providers", support.providers), ("Where outcomes go", support.channels)):
        rows = [[name, ", ".join(offers)] for name, offers in listed.items()]
        parts += [f"## {title}\n", _markdown_table(["name", "offers"], rows)]
    return "\n".join(parts)


def _markdown_table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)

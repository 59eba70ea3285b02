"""Which plugins an installation knows, as its administrators declare them (`argo-behaviour.md` 8.14). Pure.

The text is what stands in the peer's ConfigMap `argo-rollouts-config` under `stepPlugins`, `trafficRouterPlugins` or
`metricProviderPlugins`: a YAML list of `{name, location, sha256, disabled, args}`. Nothing is downloaded here, since a plugin is a
process of its own; so only `name` and `disabled` count, and a bare name may stand for `{name: ...}`.
"""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from tidegate.messages import PLUGIN_NAME
from tidegate.yaml_errors import reason_of

CONFIG_MAP = "argo-rollouts-config"
STEP, ROUTER, METRIC = "stepPlugins", "trafficRouterPlugins", "metricProviderPlugins"

Plugins = Mapping[str, bool]
"""Name -> whether it may be called: a disabled step plugin is passed over (the peer's `disabled`)."""

BUILT_IN_ROUTERS = frozenset({"argoproj-labs/gatewayAPI"})
"""The peer's plugin that the traffic-shifter carries out itself: it needs no declaration."""
RIGHT = "a YAML list of plugins: [{name: owner/name}]"


def declared(text: str) -> Plugins:
    """Raises ValueError with what would be right."""
    try:
        entries = yaml.safe_load(text) or []
    except yaml.YAMLError as error:
        raise ValueError(f"{RIGHT}; this is no YAML: {reason_of(error)}") from None
    if not isinstance(entries, list):
        raise ValueError(RIGHT)  # noqa: TRY004 - the text is what is wrong
    return {_name(entry): not (isinstance(entry, Mapping) and entry.get("disabled") is True) for entry in entries}


def _name(entry: Any) -> str:
    name = entry.get("name") if isinstance(entry, Mapping) else entry
    if not isinstance(name, str) or not re.match(PLUGIN_NAME, name):
        raise ValueError(f"a list of plugins whose names are <owner>/<name> of letters, digits, '-' and '.'; {name!r} is none")
    return name

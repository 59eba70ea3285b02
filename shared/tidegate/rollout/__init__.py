"""The nouns of a Rollout: its spec as frozen values, read once per generation from a manifest that passed validation.

Rule of this package: it reads, it decides nothing. Defaults are those of `argo-behaviour.md` 1.2. Field names of the manifest
appear here and in the validation, nowhere else on the deciding side.
"""

from tidegate.rollout.nouns import (
    NO_LIMIT,
    Analysis,
    BlueGreen,
    Canary,
    Experiment,
    Json,
    Pause,
    Plugin,
    RouterConfig,
    SetCanaryScale,
    SetHeaderRoute,
    SetMirrorRoute,
    SetWeight,
    Spec,
    Step,
    Threshold,
)
from tidegate.rollout.reading import kinds_of, spec_of
from tidegate.rollout.texts import number_in, revision_in, selector_text

__all__ = [
    "NO_LIMIT",
    "Analysis",
    "BlueGreen",
    "Canary",
    "Experiment",
    "Json",
    "Pause",
    "Plugin",
    "RouterConfig",
    "SetCanaryScale",
    "SetHeaderRoute",
    "SetMirrorRoute",
    "SetWeight",
    "Spec",
    "Step",
    "Threshold",
    "kinds_of",
    "number_in",
    "revision_in",
    "selector_text",
    "spec_of",
]

"""Every message on the bus, each class with its subject: the whole vocabulary, a file per conversation (DESIGN.md 4).

Commands are imperatives or requests, events are past participles. All are frozen and validated at construction, so inside
the code every message is already good. A message wakes; it is never trusted for state: handlers re-read what they act on.

`{namespace}` and `{name}` in a subject are Kubernetes names escaped by `subject_token` ('.' -> '_', which no Kubernetes
name contains, so it can be undone).
"""

from tidegate.messages.analysis import AnalysisConcluded, AnalysisMeasured, AnalysisRequested
from tidegate.messages.base import (
    ANALYSIS,
    MOST_STATUS,
    OUTCOMES,
    PLUGIN_NAME,
    PLUGINS,
    REQUESTS,
    TRAFFIC,
    CallId,
    DnsName,
    Fence,
    Message,
    Part,
    PluginName,
    name_from_token,
    subject_token,
)
from tidegate.messages.outcomes import EventsRecorded, OutcomeVerb, Record, RolloutOutcome
from tidegate.messages.plugins import (
    MetricAnswered,
    MetricRequested,
    PluginMessage,
    RouterAnswered,
    RouterRequested,
    StepAnswered,
    StepRequested,
)
from tidegate.messages.requests import RequestAnswered, RolloutCommanded, RolloutRequested, Verb
from tidegate.messages.traffic import (
    Destination,
    HeaderRoute,
    MirrorRoute,
    Router,
    RouterReport,
    ServiceTarget,
    Split,
    TrafficApplied,
    TrafficRequested,
)

__all__ = [
    "ANALYSIS",
    "MESSAGES",
    "MOST_STATUS",
    "OUTCOMES",
    "PLUGINS",
    "PLUGIN_NAME",
    "REQUESTS",
    "TRAFFIC",
    "AnalysisConcluded",
    "AnalysisMeasured",
    "AnalysisRequested",
    "CallId",
    "Destination",
    "DnsName",
    "EventsRecorded",
    "Fence",
    "HeaderRoute",
    "Message",
    "MetricAnswered",
    "MetricRequested",
    "MirrorRoute",
    "OutcomeVerb",
    "Part",
    "PluginMessage",
    "PluginName",
    "Record",
    "RequestAnswered",
    "RolloutCommanded",
    "RolloutOutcome",
    "RolloutRequested",
    "Router",
    "RouterAnswered",
    "RouterReport",
    "RouterRequested",
    "ServiceTarget",
    "Split",
    "StepAnswered",
    "StepRequested",
    "TrafficApplied",
    "TrafficRequested",
    "Verb",
    "name_from_token",
    "subject_token",
]

MESSAGES: tuple[type[Message], ...] = (
    RolloutRequested, RolloutCommanded, RequestAnswered, TrafficRequested, TrafficApplied,
    AnalysisRequested, AnalysisMeasured, AnalysisConcluded, RolloutOutcome, EventsRecorded,
    StepRequested, StepAnswered, RouterRequested, RouterAnswered, MetricRequested, MetricAnswered,
)  # fmt: skip

"""What several test folders share: manifests, service processes that can be killed, a record of outcomes, a faulty API server.

Rules of this package: no pytest in here (conftests wrap what they need in fixtures), no time-out that a busy machine would meet
(a wait that succeeds costs nothing by being patient), and every process that is started ends with the one that started it.
"""

from tidegate.testing.fleet import Fleet
from tidegate.testing.http import Endpoint, Reply, Request
from tidegate.testing.manifests import (
    a_deployment,
    a_referring_rollout,
    a_rollout,
    a_service,
    an_analysis_template,
    an_http_route,
)
from tidegate.testing.outcomes import Outcomes
from tidegate.testing.patient import PatientOutbound, patient_bus
from tidegate.testing.processes import ServiceProcess, Suite
from tidegate.testing.proxy import ApiCall, Cut, Expire, Fault, FaultProxy, Hang, Lag, LoseAnswer, LoseRequest, Refuse
from tidegate.testing.scene import Scene, degraded, healthy_on, paused_at
from tidegate.testing.waiting import eventually

__all__ = [
    "ApiCall", "Cut", "Endpoint", "Expire", "Fault", "FaultProxy", "Fleet", "Hang", "Lag", "LoseAnswer", "LoseRequest", "Outcomes",
    "PatientOutbound", "Refuse", "Reply", "Request", "Scene", "ServiceProcess", "Suite", "a_deployment", "a_referring_rollout",
    "a_rollout", "a_service", "an_analysis_template", "an_http_route", "degraded", "eventually", "healthy_on", "patient_bus",
    "paused_at",
]  # fmt: skip

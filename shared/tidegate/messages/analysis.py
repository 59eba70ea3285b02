"""Analysis: planner <-> analyzer."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from tidegate.messages.base import ANALYSIS, DnsName, Message


class AnalysisRequested(Message):
    """Create this AnalysisRun if absent, end it, or delete it. `name` is the run's; the `rollout` or the `experiment` owns it."""

    stream: ClassVar[str] = ANALYSIS
    subject: ClassVar[str] = "tidegate.analysis.requested.{namespace}.{name}"
    type: ClassVar[str] = "dev.tidegate.analysis.requested"

    rollout: DnsName | None = None
    experiment: DnsName | None = None
    manifest: dict[str, Any] | None = Field(default=None, description="the whole AnalysisRun to create; None with terminate")
    terminate: bool = False
    delete: str | None = Field(default=None, description="the uid of a finished run that is beyond the history limits")


class AnalysisMeasured(Message):
    """One measurement of one metric was finished."""

    stream: ClassVar[str] = ANALYSIS
    subject: ClassVar[str] = "tidegate.analysis.measured.{namespace}.{name}"
    type: ClassVar[str] = "dev.tidegate.analysis.measured"

    metric: str
    phase: str
    value: str = ""
    message: str = ""


class AnalysisConcluded(Message):
    """A run reached its verdict."""

    stream: ClassVar[str] = ANALYSIS
    subject: ClassVar[str] = "tidegate.analysis.concluded.{namespace}.{name}"
    type: ClassVar[str] = "dev.tidegate.analysis.concluded"

    phase: Literal["Successful", "Failed", "Error", "Inconclusive"]
    message: str = ""

"""Helpers of tests: an HTTP endpoint to measure, and a world in memory for analyzers to live in. No pytest in here."""

from tidegate_analyzer.testing.endpoint import Asked, Endpoint, Reply
from tidegate_analyzer.testing.world import Replica, World, metric

__all__ = ["Asked", "Endpoint", "Replica", "Reply", "World", "metric"]

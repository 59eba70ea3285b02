"""Tidegate's shared vocabulary: nouns, messages, the bus, and the way to the Kubernetes API. No service logic lives here."""

from tidegate.lean import without

with without("rich"):
    import structlog  # noqa: F401

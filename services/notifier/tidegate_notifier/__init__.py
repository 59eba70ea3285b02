"""The notifier: writes what was recorded as core Events, and tells outcomes to the outside. Map: services/notifier/README.md."""

from tidegate.lean import without

with without("httpx._main"):
    import httpx  # noqa: F401

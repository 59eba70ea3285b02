"""The traffic-shifter: expresses a split in the words of each router, and says what is seen of it."""

from tidegate.lean import without

with without("httpx._main"):
    import httpx  # noqa: F401

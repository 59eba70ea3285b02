from tidegate.lean import without

with without("httpx._main"):
    import httpx  # noqa: F401

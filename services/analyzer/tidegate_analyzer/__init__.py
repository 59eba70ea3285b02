from tidegate.lean import without

with without("rich"):
    import httpx  # noqa: F401

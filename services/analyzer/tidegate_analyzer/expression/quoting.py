"""Text as Go writes and holds it: quoted strings, and no lone surrogates (Go text is UTF-8, which cannot hold one)."""

import json


def quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def without_lone_surrogates(text: str) -> str:
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

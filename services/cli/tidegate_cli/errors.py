"""Errors of the command line itself."""

from tidegate.errors import TidegateError


class Failed(TidegateError):  # noqa: N818 - reads as the fact it states
    """What was asked for could not be done; the text is all there is to say."""

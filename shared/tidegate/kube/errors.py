"""What the API server's refusals mean to a caller.

    KubeError
    |-- NotFound            404
    |-- AlreadyExists       409, reason AlreadyExists: a create met an object of that name
    |-- Conflict            409, any other: the object is not what the write was decided from; read again, decide again
    |-- PreconditionFailed  422: a `test` of a JSON patch did not hold; the same remedy as Conflict
    |-- Invalid             422 or 400: the object can't be accepted as it is
    |-- Unauthorized        401, after the credentials were read anew
    |-- Forbidden           403: RBAC, admission or a namespace that is going away
    |-- Gone                410: a resourceVersion or continue token is too old; list again
    `-- Transient           worth the same request again, later; carries `retry_after` if the server named one
        |-- TooManyRequests    429: API priority and fairness, or an eviction that a disruption budget forbids
        `-- ServerUnavailable  5xx, time-outs, and every connection error (status 0)
            `-- Unreachable    no connection came about, so the request was certainly not carried out

Any other ServerUnavailable of a write leaves open whether it happened. That is why writes carry preconditions.
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from tidegate.errors import KubeError, TidegateError

GENERIC_PATCH_REFUSAL: Final = "the server rejected our request due to an error in our request"
"""All the API server says when a JSON patch can't be applied; the library's own text (`testing value ... failed`) is dropped."""


class KubeconfigError(TidegateError):
    """The kubeconfig file or the service account's folder can't be used; the text names the field and what would be right."""


class NotFound(KubeError):  # noqa: N818 - these names are the API's own reasons
    """404."""


class AlreadyExists(KubeError):  # noqa: N818
    """409 on create."""


class Conflict(KubeError):  # noqa: N818
    """409: a precondition (resourceVersion, uid) did not hold, or another field manager owns the field."""


class PreconditionFailed(KubeError):  # noqa: N818
    """422: a JSON patch with a `test` operation could not be applied."""


class Invalid(KubeError):  # noqa: N818
    """422 or 400. `causes` are the server's field errors, each with `field` and `message`."""

    def __init__(self, message: str, *, status: int, reason: str = "", causes: tuple[Mapping[str, str], ...] = ()) -> None:
        super().__init__(message, status=status, reason=reason)
        self.causes = causes


class Unauthorized(KubeError):  # noqa: N818
    """401."""


class Forbidden(KubeError):  # noqa: N818
    """403."""


class Gone(KubeError):  # noqa: N818
    """410."""


class Transient(KubeError):  # noqa: N818
    """The same request may succeed later."""

    def __init__(self, message: str, *, status: int, reason: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, status=status, reason=reason)
        self.retry_after = retry_after


class TooManyRequests(Transient):
    """429."""


class ServerUnavailable(Transient):
    """5xx, a time-out, or a broken connection (status 0)."""


class Unreachable(ServerUnavailable):
    """Refused, no such host, or no answer to the connection attempt: nothing was sent."""


_BY_STATUS: Final[Mapping[int, type[KubeError]]] = {401: Unauthorized, 403: Forbidden, 404: NotFound, 410: Gone}


def kube_error(answer: Mapping[str, Any], *, status: int, retry_after: float | None = None, tested: bool = False) -> KubeError:
    """The exception for a `Status` object. `tested`: the request was a JSON patch holding a `test` operation."""
    message = str(answer.get("message") or f"the API server answered {status}")
    reason = str(answer.get("reason") or "")
    details = answer.get("details") or {}
    if retry_after is None and details.get("retryAfterSeconds"):
        retry_after = float(details["retryAfterSeconds"])
    if status == 429:
        return TooManyRequests(message, status=status, reason=reason, retry_after=retry_after)
    if status >= 500 or status == 408:
        return ServerUnavailable(message, status=status, reason=reason, retry_after=retry_after)
    if status == 409:
        return (AlreadyExists if reason == "AlreadyExists" else Conflict)(message, status=status, reason=reason)
    if status == 422 and tested and GENERIC_PATCH_REFUSAL in message:
        return PreconditionFailed(message, status=status, reason=reason)
    if status in (400, 422):
        return Invalid(message, status=status, reason=reason, causes=tuple(details.get("causes") or ()))
    return _BY_STATUS.get(status, KubeError)(message, status=status, reason=reason)


def status_object(body: bytes, status: int) -> Mapping[str, Any]:
    """The `Status` in an error's body; proxies and half-started servers answer plain text, which becomes its message."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        answer = None
    if isinstance(answer, dict):
        return answer
    text = body[:500].decode(errors="replace").strip()
    return {"message": f"the API server answered {status}: {text}" if text else ""}

"""What the API server's answers become."""

import pytest

from tidegate.errors import KubeError
from tidegate.kube import errors
from tidegate.kube.errors import GENERIC_PATCH_REFUSAL, kube_error, status_object


@pytest.mark.parametrize(
    ("status", "reason", "expected"),
    [
        (400, "BadRequest", errors.Invalid),
        (401, "Unauthorized", errors.Unauthorized),
        (403, "Forbidden", errors.Forbidden),
        (404, "NotFound", errors.NotFound),
        (409, "AlreadyExists", errors.AlreadyExists),
        (409, "Conflict", errors.Conflict),
        (410, "Expired", errors.Gone),
        (413, "RequestEntityTooLarge", KubeError),
        (422, "Invalid", errors.Invalid),
        (429, "TooManyRequests", errors.TooManyRequests),
        (500, "InternalError", errors.ServerUnavailable),
        (504, "Timeout", errors.ServerUnavailable),
    ],
)
def test_a_refusal_becomes_the_error_of_its_code_and_reason(status, reason, expected):
    error = kube_error({"message": "why", "reason": reason}, status=status)
    assert type(error) is expected
    assert (str(error), error.status, error.reason) == ("why", status, reason)


def test_only_a_patch_that_tested_something_can_fail_its_precondition():
    answer = {"message": GENERIC_PATCH_REFUSAL, "reason": "Invalid"}
    assert type(kube_error(answer, status=422, tested=True)) is errors.PreconditionFailed
    assert type(kube_error(answer, status=422, tested=False)) is errors.Invalid


def test_a_field_error_of_a_tested_patch_stays_invalid_and_names_the_field():
    causes = [{"reason": "FieldValueRequired", "message": "Required value", "field": "spec.selector"}]
    error = kube_error({"message": 'ReplicaSet "a" is invalid', "details": {"causes": causes}}, status=422, tested=True)
    assert type(error) is errors.Invalid
    assert error.causes[0]["field"] == "spec.selector"


def test_the_delay_of_the_status_object_counts_when_there_is_no_header():
    assert kube_error({"details": {"retryAfterSeconds": 3}}, status=429).retry_after == 3.0
    assert kube_error({"details": {"retryAfterSeconds": 3}}, status=429, retry_after=5.0).retry_after == 5.0


def test_a_proxys_plain_text_becomes_the_message():
    answer = status_object(b"<html>bad gateway</html>", 502)
    assert str(kube_error(answer, status=502)) == "the API server answered 502: <html>bad gateway</html>"


def test_an_empty_answer_still_says_the_code():
    assert str(kube_error(status_object(b"", 503), status=503)) == "the API server answered 503"

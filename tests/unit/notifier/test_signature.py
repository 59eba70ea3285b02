"""Signatures that the libraries of Standard Webhooks verify, and a `verify` that is not fooled."""

import pytest

from tidegate_notifier.signature import key_of, signature, verify

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID, SENT, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}'
SIGNED = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
HEADERS = {"Webhook-Id": ID, "Webhook-Timestamp": str(SENT), "Webhook-Signature": SIGNED}


def test_the_signature_is_that_of_the_reference_libraries():
    """The vector that their test suites share."""
    assert signature(key_of(SECRET), id=ID, timestamp=SENT, body=BODY) == SIGNED


def test_what_was_signed_is_verified():
    assert verify(SECRET, headers=HEADERS, body=BODY, now=SENT + 299)


def test_one_of_several_signatures_is_enough():
    headers = HEADERS | {"Webhook-Signature": f"v1,AAAA {SIGNED} v1a,BBBB"}
    assert verify(SECRET, headers=headers, body=BODY, now=SENT)


@pytest.mark.parametrize(
    ("headers", "body", "now"),
    [
        pytest.param(HEADERS, BODY + b" ", SENT, id="another body"),
        pytest.param(HEADERS | {"Webhook-Id": "msg_other"}, BODY, SENT, id="another id"),
        pytest.param(HEADERS | {"Webhook-Timestamp": str(SENT + 1)}, BODY, SENT, id="another time"),
        pytest.param(HEADERS, BODY, SENT + 301, id="a replay"),
        pytest.param(HEADERS, BODY, SENT - 301, id="from the future"),
        pytest.param(HEADERS | {"Webhook-Timestamp": "now"}, BODY, SENT, id="no time"),
        pytest.param(HEADERS | {"Webhook-Timestamp": "²"}, BODY, SENT, id="digits that are no number"),
        pytest.param(HEADERS | {"Webhook-Signature": ""}, BODY, SENT, id="no signature"),
        pytest.param(HEADERS | {"Webhook-Signature": "v1,é"}, BODY, SENT, id="no base64"),
        pytest.param({}, BODY, SENT, id="no headers"),
    ],
)
def test_what_was_not_signed_so_is_refused(headers, body, now):
    assert not verify(SECRET, headers=headers, body=body, now=now)


def test_another_secret_verifies_nothing():
    assert not verify("whsec_AAAA", headers=HEADERS, body=BODY, now=SENT)


def test_a_secret_without_the_prefix_is_the_key_itself():
    assert key_of("correct horse") == b"correct horse"


@pytest.mark.parametrize("secret", ["whsec_*secret*", "whsec_secre", "whsec_"])
def test_a_secret_that_claims_to_be_base64_and_is_not_is_refused_without_being_repeated(secret):
    with pytest.raises(ValueError, match="base64") as caught:
        key_of(secret)
    assert "secre" not in str(caught.value)

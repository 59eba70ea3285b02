"""Signatures of AWS requests, compared with those of botocore and with the example of Amazon's own test suite."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tidegate.aws.sigv4 import Keys, signed
from tidegate.outbound import Call

KEYS = {"access": "AKIDEXAMPLE", "secret": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}  # of Amazon's documentation
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
BOTOCORE = json.loads((Path(__file__).parents[2] / "golden/sigv4/botocore.json").read_text())
"""What `SigV4Auth(...).add_auth(AWSRequest(...))` of botocore 1.44.5 makes of these requests at noon of 2026-11-20."""


def headers(call: Call) -> dict[str, str]:
    return dict(call.headers)


@pytest.mark.parametrize("row", BOTOCORE, ids=lambda row: f"{row['method']} {row['url'].partition('?')[0]}")
def test_a_request_is_signed_as_botocore_signs_it(row):
    call = Call(method=row["method"], url=row["url"], headers=tuple(row["headers"].items()), body=row["body"].encode(), timeout=1)
    proof = headers(signed(call, Keys(**KEYS, token=row["token"]), service=row["service"], region=row["region"], now=NOW))
    assert proof["Authorization"] == row["authorization"]
    assert proof["X-Amz-Date"] == row["date"]
    assert proof.get("X-Amz-Security-Token", "") == row["token"]


def test_the_simplest_example_of_amazons_test_suite():
    call = Call(method="GET", url="https://example.amazonaws.com/", timeout=1)
    sent = signed(call, Keys(**KEYS), service="service", region="us-east-1", now=datetime(2015, 8, 30, 12, 36, tzinfo=UTC))
    assert headers(sent)["Authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, "
        "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
    )


def test_a_call_that_was_signed_before_is_signed_anew():
    call = Call(method="GET", url="https://example.amazonaws.com/", timeout=1)
    once = signed(call, Keys(**KEYS), service="s", region="us-east-1", now=NOW)
    assert signed(once, Keys(**KEYS), service="s", region="us-east-1", now=NOW) == once


def test_keys_do_not_show_their_secrets():
    assert "EXAMPLEKEY" not in repr(Keys(**KEYS, token="t0ken"))
    assert "t0ken" not in repr(Keys(**KEYS, token="t0ken"))

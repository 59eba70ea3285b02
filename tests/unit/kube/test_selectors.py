"""Label selectors as text."""

import pytest

from tidegate.kube.errors import Invalid
from tidegate.kube.selectors import labels_match, selector_text

LABELS = {"app": "web", "env": "prod", "rollouts-pod-template-hash": "5d4f"}


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        (None, True),
        ("", True),
        ("app=web", True),
        ("app==web", True),
        ("app=api", False),
        ("app!=api", True),
        ("absent!=x", True),
        ("absent=", False),
        ("rollouts-pod-template-hash", True),
        ("!rollouts-pod-template-hash", False),
        ("env in (prod, stage)", True),
        ("env in (stage)", False),
        ("env notin (stage),app=web", True),
        ("absent notin (x)", True),
        ("app=web,env=stage", False),
        ("argo-rollouts.argoproj.io/controller-instance-id", False),
    ],
)
def test_a_selector_is_read_as_the_server_reads_it(selector, expected):
    assert labels_match(selector, LABELS) is expected


def test_no_labels_satisfy_only_negative_requirements():
    assert labels_match("!app", None)
    assert not labels_match("app", None)


def test_a_selector_that_is_not_understood_says_what_would_be():
    with pytest.raises(Invalid, match="must be like"):
        labels_match("app ~ web", LABELS)


def test_match_labels_become_a_selector():
    assert selector_text({"b": "2", "a": "1"}) == "a=1,b=2"

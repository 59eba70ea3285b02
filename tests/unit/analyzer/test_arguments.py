"""Arguments: who wins, what is missing, and how they get into a metric (`argo-behaviour.md` 7.2)."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.arguments import ArgumentError, field_value, merged, overridden
from tidegate_analyzer.arguments import SecretKey, needed_secrets, redacted, secret_value, substituted, values


def test_arguments_of_several_templates_fill_each_other() -> None:
    lists = [[{"name": "a"}, {"name": "b", "value": "1"}], [{"name": "a", "value": "x"}, {"name": "b", "value": "1"}]]
    assert merged(lists) == [{"name": "a", "value": "x"}, {"name": "b", "value": "1"}]


def test_two_templates_may_not_disagree() -> None:
    with pytest.raises(ArgumentError) as error:
        merged([[{"name": "a", "value": "x"}], [{"name": "a", "value": "y"}]])
    assert str(error.value) == "Argument `a` specified multiple times with different values: 'x', 'y'"


def test_the_caller_wins_and_what_the_template_does_not_name_is_ignored() -> None:
    template = [{"name": "a", "value": "default"}, {"name": "b", "value": "kept"}, {"name": "c"}]
    incoming = [{"name": "a", "value": "mine"}, {"name": "c", "value": ""}, {"name": "unknown", "value": "z"}]
    expected = [{"name": "a", "value": "mine"}, {"name": "b", "value": "kept"}, {"name": "c", "value": ""}]
    assert overridden(template, incoming) == expected


def test_an_argument_nobody_gave_a_value_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"^args\.a was not resolved$"):
        overridden([{"name": "a"}], [{"name": "b", "value": "1"}])


ROLLOUT = {
    "metadata": {"name": "shop"},
    "spec": {"replicas": 3, "paused": False, "containers": [{"image": "shop:1"}], "strategy": {}},
}


@pytest.mark.parametrize(
    ("path", "value"),
    [("spec.replicas", "3"), ("spec.paused", "false"), ("spec.containers[0].image", "shop:1"), ("metadata.name", "shop")],
)
def test_a_field_of_the_rollout_is_text(path: str, value: str) -> None:
    assert field_value(ROLLOUT, path) == value


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("spec.nope", "invalid path spec.nope in rollout"),
        ("spec.replicas.x", "invalid path spec.replicas.x in rollout"),
        ("spec.strategy", "path spec.strategy in rollout must terminate in a primitive value"),
        ("spec.containers", "path spec.containers in rollout must terminate in a primitive value"),
        ("spec.containers[x]", "invalid index 'x'"),
        ("spec.containers[1].image", "index 1 out of range"),
    ],
)
def test_a_field_that_is_not_there_is_refused(path: str, why: str) -> None:
    with pytest.raises(ArgumentError) as error:
        field_value(ROLLOUT, path)
    assert str(error.value) == why


SECRET = {"name": "token", "valueFrom": {"secretKeyRef": {"name": "vault", "key": "token"}}}


def test_secrets_are_named_fetched_elsewhere_and_put_in() -> None:
    arguments = [{"name": "a", "value": "1"}, SECRET]
    assert needed_secrets(arguments) == {"token": SecretKey("vault", "token")}
    assert secret_value({"token": b"s3cret"}, SecretKey("vault", "token")) == "s3cret"
    assert values(arguments, {"token": "s3cret"}) == {"a": "1", "token": "s3cret"}


def test_a_missing_key_or_value_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"^key 'token' does not exist in secret 'vault'$"):
        secret_value({}, SecretKey("vault", "token"))
    with pytest.raises(ArgumentError, match=r'^argument "a" was not supplied$'):
        values([{"name": "a"}])


def test_tags_are_replaced_in_any_text_of_a_metric() -> None:
    metric = {
        "name": "m",
        "count": 3,
        "provider": {"web": {"url": "http://{{args.host}}/{{ args.path }}", "headers": [{"key": "{{args.host}}", "value": "x"}]}},
    }
    assert substituted(metric, {"host": "a", "path": "b"}) == {
        "name": "m",
        "count": 3,
        "provider": {"web": {"url": "http://a/b", "headers": [{"key": "a", "value": "x"}]}},
    }


@pytest.mark.parametrize("tag", ["args.x", "x", "args.", "templates.a.hash"])
def test_an_unknown_tag_is_refused(tag: str) -> None:
    with pytest.raises(ArgumentError) as error:
        substituted({"query": f"up{{{{{tag}}}}}"}, {"host": "a"})
    assert str(error.value) == f"failed to resolve {{{{{tag}}}}}"


@given(value=st.text())
def test_an_argument_can_never_add_a_field_or_another_argument(value: str) -> None:
    metric: dict[str, Any] = {"query": "a {{args.v}} b", "count": 1}
    replaced = substituted(metric, {"v": value, "other": "!"})
    assert replaced == {"query": f"a {value} b", "count": 1}
    assert json.loads(json.dumps(replaced)) == replaced


def test_secrets_do_not_show_in_messages() -> None:
    assert redacted("auth abc failed for abcdef", ["abc", "abcdef", ""]) == "auth ***** failed for *****"


@pytest.mark.parametrize(
    "text", ['GET "https://x/?t=p%40ss%2Fw+rd"', "GET https://x/p%40ss/w%20rd", '{"t": "p@ss/w rd"}', "t=p%40ss%2Fw%20rd&u=1"]
)
def test_secrets_do_not_show_in_urls_and_forms_either(text: str) -> None:
    hidden = redacted(text, ["p@ss/w rd"])
    assert "*****" in hidden
    assert "ss" not in hidden


def test_a_secret_with_a_quotation_mark_does_not_show_in_json() -> None:
    assert redacted('{"t": "a\\"b"}', ['a"b']) == '{"t": "*****"}'

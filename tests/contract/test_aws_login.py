"""How a service gets its keys for AWS, from each source over a real socket."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import pytest

from tidegate.aws.login import Aws, LoginFailed
from tidegate.aws.sigv4 import Keys
from tidegate.testing import PatientOutbound
from tidegate_analyzer.testing import Endpoint, Reply

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
LATER = "2026-11-20T13:00:00Z"
STATIC = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "s3cret"}
JSON_KEYS = f'{{"AccessKeyId":"AKID2","SecretAccessKey":"s2","Token":"t2","Expiration":"{LATER}"}}'.encode()
TEMPORARY = Keys(access="AKID2", secret="s2", token="t2", until=datetime(2026, 11, 20, 13, tzinfo=UTC))


def sts(action: str) -> bytes:
    return f"""<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result><Credentials>
        <AccessKeyId>AKID2</AccessKeyId><SecretAccessKey>s2</SecretAccessKey><SessionToken>t2</SessionToken>
        <Expiration>{LATER}</Expiration></Credentials></{action}Result></{action}Response>""".encode()


@pytest.fixture
def endpoint():
    with Endpoint() as endpoint:
        yield endpoint


@pytest.fixture
async def aws():
    """Aws for an environment; the time is `clock[0]`."""
    async with PatientOutbound(allow_metadata=True) as outbound:

        def made(environ, clock=None) -> Aws:
            return Aws(environ, outbound, lambda: clock[0] if clock else NOW)

        yield made


def form(asked):
    return {name: values[0] for name, values in parse_qs(asked.body.decode()).items()}


async def test_keys_in_the_environment_come_first(aws):
    environ = {**STATIC, "AWS_SESSION_TOKEN": "t", "AWS_WEB_IDENTITY_TOKEN_FILE": "/absent", "AWS_ROLE_ARN": "arn"}
    assert await aws(environ).keys(region="eu-west-1") == Keys(access="AKID", secret="s3cret", token="t")


async def test_a_web_identity_is_exchanged_for_keys(aws, endpoint, tmp_path):
    (tmp_path / "token").write_text("jwt\n")
    endpoint.answer("/", Reply(body=sts("AssumeRoleWithWebIdentity")))
    environ = {
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"), "AWS_ROLE_ARN": "arn:aws:iam::1:role/r",
        "AWS_ENDPOINT_URL_STS": endpoint.url(""),
    }  # fmt: skip
    assert await aws(environ).keys(region="eu-west-1") == TEMPORARY
    assert form(endpoint.asked[0]) == {
        "Action": "AssumeRoleWithWebIdentity", "Version": "2011-06-15", "RoleArn": "arn:aws:iam::1:role/r",
        "RoleSessionName": "tidegate", "WebIdentityToken": "jwt",
    }  # fmt: skip
    assert "Authorization" not in endpoint.asked[0].headers


async def test_a_role_is_assumed_with_the_processs_own_keys(aws, endpoint):
    endpoint.answer("/", Reply(body=sts("AssumeRole")))
    keys = await aws({**STATIC, "AWS_ENDPOINT_URL_STS": endpoint.url("")}).keys(region="eu-west-1", role="arn:aws:iam::1:role/r")
    assert keys == TEMPORARY
    assert form(endpoint.asked[0])["RoleArn"] == "arn:aws:iam::1:role/r"
    assert "Credential=AKID/20261120/eu-west-1/sts/aws4_request" in endpoint.asked[0].headers["Authorization"]


async def test_a_profile_comes_from_the_shared_files(aws, tmp_path):
    (tmp_path / "credentials").write_text("[default]\naws_access_key_id=D\naws_secret_access_key=d\n[p]\naws_access_key_id=P\n"
                                          "aws_secret_access_key=p%\n")  # fmt: skip
    (tmp_path / "config").write_text("[default]\nregion=eu-west-1\n[profile p]\nregion=us-east-2\n")
    environ = {"AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"), "AWS_CONFIG_FILE": str(tmp_path / "config")}
    login = aws(environ)
    assert (login.region(), login.region(profile="p"), login.region("cn-north-1", "p")) == ("eu-west-1", "us-east-2", "cn-north-1")
    assert (await login.keys(region="x-1")).access == "D"
    assert await login.keys(region="x-1", profile="p") == Keys(access="P", secret="p%")
    with pytest.raises(LoginFailed, match="profile 'q' holds no aws_access_key_id"):
        await login.keys(region="x-1", profile="q")


async def test_a_pod_identity_shows_its_token(aws, endpoint, tmp_path):
    (tmp_path / "token").write_text("eks-token")
    endpoint.answer("/v1/credentials", Reply(body=JSON_KEYS))
    environ = {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": endpoint.url("/v1/credentials"),
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(tmp_path / "token"),
    }
    assert await aws(environ).keys(region="eu-west-1") == TEMPORARY
    assert endpoint.asked[0].headers["Authorization"] == "eks-token"


async def test_a_machines_identity_is_asked_for_in_three_steps(aws, endpoint):
    path = "/latest/meta-data/iam/security-credentials/"
    endpoint.answer("/latest/api/token", Reply(body=b"imds"))
    endpoint.answer(path, Reply(body=b"node-role"))
    endpoint.answer(path + "node-role", Reply(body=JSON_KEYS))
    assert await aws({"AWS_EC2_METADATA_SERVICE_ENDPOINT": endpoint.url("")}).keys(region="eu-west-1") == TEMPORARY
    assert [asked.method for asked in endpoint.asked] == ["PUT", "GET", "GET"]
    assert {name.lower(): value for name, value in endpoint.asked[2].headers.items()}["x-aws-ec2-metadata-token"] == "imds"


async def test_keys_are_kept_until_shortly_before_they_expire(aws, endpoint):
    clock = [NOW]
    endpoint.answer("/keys", Reply(body=JSON_KEYS))
    login = aws({"AWS_CONTAINER_CREDENTIALS_FULL_URI": endpoint.url("/keys")}, clock)
    for minutes, asked in ((0, 1), (54, 1), (55, 2)):
        clock[0] = NOW + timedelta(minutes=minutes)
        await login.keys(region="eu-west-1")
        assert len(endpoint.asked) == asked


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(403, b"no"), "the container's credentials: no keys in the answer (403 Forbidden)"),
        (Reply(200, b"<html>"), "the container's credentials: no keys in the answer (200 OK)"),
        (Reply(200, b'{"AccessKeyId":"A","SecretAccessKey":"s","Expiration":"soon"}'), "no keys in the answer (200 OK)"),
        (Reply(200, b'{"AccessKeyId":"A"}'), "no keys in the answer (200 OK)"),
    ],
)
async def test_a_source_without_keys_is_named(aws, endpoint, reply, said):
    endpoint.answer("/keys", reply)
    with pytest.raises(LoginFailed) as told:
        await aws({"AWS_CONTAINER_CREDENTIALS_FULL_URI": endpoint.url("/keys")}).keys(region="eu-west-1")
    assert str(told.value).startswith("could not get SigV4 credentials: ")
    assert str(told.value).endswith(said)


async def test_a_refused_role_is_told_in_amazons_words(aws, endpoint):
    refused = b"""<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>
        <Code>AccessDenied</Code><Message>not authorized</Message></Error></ErrorResponse>"""
    endpoint.answer("/", Reply(403, refused))
    with pytest.raises(LoginFailed) as told:
        await aws({**STATIC, "AWS_ENDPOINT_URL": endpoint.url("")}).keys(region="eu-west-1", role="arn")
    assert str(told.value) == (
        "could not get SigV4 credentials: operation error STS: AssumeRole, 403 Forbidden, api error AccessDenied: not authorized"
    )


async def test_no_source_at_all_is_said(aws):
    with pytest.raises(LoginFailed, match="none of the sources of AWS credentials is set up"):
        await aws({"AWS_EC2_METADATA_DISABLED": "true"}).keys(region="eu-west-1")


def test_a_region_is_needed_and_cannot_lead_to_another_host():
    login = Aws({}, None, lambda: NOW)
    with pytest.raises(LoginFailed, match=r"^region not configured in sigv4 or in the AWS default credentials chain$"):
        login.region()
    with pytest.raises(LoginFailed, match="is not the name of an AWS region"):
        login.region("evil.test/x")


@pytest.mark.parametrize(
    ("environ", "region", "url"),
    [
        ({}, "eu-west-1", "https://monitoring.eu-west-1.amazonaws.com/"),
        ({}, "cn-north-1", "https://monitoring.cn-north-1.amazonaws.com.cn/"),
        ({"AWS_ENDPOINT_URL": "http://a.test"}, "eu-west-1", "http://a.test/"),
        ({"AWS_ENDPOINT_URL": "http://a.test", "AWS_ENDPOINT_URL_CLOUDWATCH": "http://b.test/"}, "eu-west-1", "http://b.test/"),
    ],
)
def test_where_a_service_is(environ, region, url):
    assert Aws(environ, None, lambda: NOW).endpoint("CLOUDWATCH", "monitoring", region) == url

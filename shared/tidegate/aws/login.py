"""Who this process is to AWS, found as Amazon's SDKs find it, without one of them.

In this order, from the variables in `Settings.aws` and nothing else:

1. keys in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY
2. a web identity (IRSA): AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN
3. keys in the shared credentials file, if there is one
4. a container's identity (EKS Pod Identity, ECS): AWS_CONTAINER_CREDENTIALS_FULL_URI or _RELATIVE_URI
5. the machine's identity (IMDSv2), unless AWS_EC2_METADATA_DISABLED is true

A caller may name a profile, which is looked up in the shared files only, and a role, which is then assumed. SSO, credential
processes and chained profiles belong to people's machines and are not here.
"""

import configparser
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

from tidegate.aws.sigv4 import Keys, signed
from tidegate.outbound import Answer, Call, CallFailed, Outbound

SECONDS: Final = 10.0
MACHINE_SECONDS: Final = 2.0
"""Outside of AWS nobody answers, and every call would wait for it."""
EARLY: Final = timedelta(minutes=5)
SESSION: Final = "tidegate"
MACHINE: Final = "http://169.254.169.254"
CONTAINER: Final = "http://169.254.170.2"
STS: Final = "{https://sts.amazonaws.com/doc/2011-06-15/}"
NO_REGION: Final = "region not configured in sigv4 or in the AWS default credentials chain"
_REGION: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)+")


class LoginFailed(CallFailed):
    """This process has no keys, or does not know its region. The text says which source was asked and what it said."""


class Aws:
    """Keys are kept until shortly before they expire."""

    def __init__(self, environ: Mapping[str, str], outbound: Outbound, clock: Callable[[], datetime]) -> None:
        self._environ = environ
        self._outbound = outbound
        self._clock = clock
        self._held: dict[tuple[str, str], Keys] = {}

    def region(self, given: str = "", profile: str = "") -> str:
        """It becomes part of a host name, and a metric may name it."""
        region = (
            given or self._environ.get("AWS_REGION") or self._environ.get("AWS_DEFAULT_REGION") or self._filed("region", profile)
        )
        if not region:
            raise LoginFailed(NO_REGION)
        if not _REGION.fullmatch(region):
            raise LoginFailed(f"region {region!r} is not the name of an AWS region, such as eu-west-1")
        return region

    def endpoint(self, service: str, host: str, region: str) -> str:
        """AWS_ENDPOINT_URL_<SERVICE> and AWS_ENDPOINT_URL lead elsewhere, to a VPC's endpoint or a stand-in."""
        domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        given = self._environ.get(f"AWS_ENDPOINT_URL_{service}") or self._environ.get("AWS_ENDPOINT_URL")
        return f"{(given or f'https://{host}.{region}.{domain}').rstrip('/')}/"

    async def keys(self, *, region: str, profile: str = "", role: str = "") -> Keys:
        held = self._held.get((profile, role))
        if held is None or (held.until is not None and held.until - EARLY <= self._clock()):
            try:
                held = await self._fetched(region, profile, role)
            except LoginFailed:
                raise
            except CallFailed as error:
                raise LoginFailed(f"could not get SigV4 credentials: {error}") from error
            self._held[profile, role] = held
        return held

    async def _fetched(self, region: str, profile: str, role: str) -> Keys:
        if not role:
            return await self._own(region, profile)
        own = await self.keys(region=region, profile=profile)
        fields = {"Action": "AssumeRole", "RoleArn": role, "RoleSessionName": SESSION}
        call = signed(self._sts(fields, region), own, service="sts", region=region, now=self._clock())
        return _from_sts(await self._outbound.send(call), "AssumeRole")

    async def _own(self, region: str, profile: str) -> Keys:
        environ = self._environ
        if not profile and environ.get("AWS_ACCESS_KEY_ID") and environ.get("AWS_SECRET_ACCESS_KEY"):
            token = environ.get("AWS_SESSION_TOKEN", "")
            return Keys(access=environ["AWS_ACCESS_KEY_ID"], secret=environ["AWS_SECRET_ACCESS_KEY"], token=token)
        if not profile and environ.get("AWS_WEB_IDENTITY_TOKEN_FILE") and environ.get("AWS_ROLE_ARN"):
            return await self._web_identity(region)
        access, secret = self._filed("aws_access_key_id", profile), self._filed("aws_secret_access_key", profile)
        if access and secret:
            return Keys(access=access, secret=secret, token=self._filed("aws_session_token", profile))
        if profile:
            raise LoginFailed(
                f"could not get SigV4 credentials: profile {profile!r} holds no aws_access_key_id and aws_secret_access_key"
            )
        if url := self._container_url():
            return _from_json(await self._outbound.send(self._container_call(url)), "the container's credentials")
        return await self._machine()

    # --- the sources ---------------------------------------------------------------------------------------------------

    async def _web_identity(self, region: str) -> Keys:
        fields = {
            "Action": "AssumeRoleWithWebIdentity",
            "RoleArn": self._environ["AWS_ROLE_ARN"],
            "RoleSessionName": self._environ.get("AWS_ROLE_SESSION_NAME") or SESSION,
            "WebIdentityToken": _text(self._environ["AWS_WEB_IDENTITY_TOKEN_FILE"]),
        }
        return _from_sts(await self._outbound.send(self._sts(fields, region)), "AssumeRoleWithWebIdentity")

    def _sts(self, fields: Mapping[str, str], region: str) -> Call:
        return Call(
            method="POST",
            url=self.endpoint("STS", "sts", region),
            headers=(("Content-Type", "application/x-www-form-urlencoded"),),
            body=urlencode({**fields, "Version": "2011-06-15"}).encode(),
            timeout=SECONDS,
        )

    def _container_url(self) -> str:
        relative = self._environ.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
        return f"{CONTAINER}{relative}" if relative else self._environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI", "")

    def _container_call(self, url: str) -> Call:
        file = self._environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
        token = _text(file) if file else self._environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
        return Call(method="GET", url=url, headers=(("Authorization", token),) if token else (), timeout=SECONDS)

    async def _machine(self) -> Keys:
        if self._environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
            raise LoginFailed("could not get SigV4 credentials: none of the sources of AWS credentials is set up")
        base = (self._environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or MACHINE).rstrip("/")
        lifetime = ("X-aws-ec2-metadata-token-ttl-seconds", "21600")
        token = await self._told(Call(method="PUT", url=f"{base}/latest/api/token", headers=(lifetime,), timeout=MACHINE_SECONDS))
        shown = (("X-aws-ec2-metadata-token", token),)
        path = f"{base}/latest/meta-data/iam/security-credentials/"
        role = (await self._told(Call(method="GET", url=path, headers=shown, timeout=MACHINE_SECONDS))).partition("\n")[0]
        answer = await self._outbound.send(Call(method="GET", url=path + role, headers=shown, timeout=MACHINE_SECONDS))
        return _from_json(answer, "the machine's credentials")

    async def _told(self, call: Call) -> str:
        answer = await self._outbound.send(call)
        if not answer.is_success:
            raise LoginFailed(f"could not get SigV4 credentials: {call.url} answers {answer.status_line}")
        return answer.body.decode(errors="replace").strip()

    def _filed(self, option: str, profile: str) -> str:
        """From the shared files; sections of the config file are called `profile x`, but for the default's."""
        wanted = profile or self._environ.get("AWS_PROFILE") or "default"
        for variable, section in (
            ("AWS_SHARED_CREDENTIALS_FILE", wanted),
            ("AWS_CONFIG_FILE", wanted if wanted == "default" else f"profile {wanted}"),
        ):
            if file := self._environ.get(variable):
                found = _section(file, section).get(option)
                if found:
                    return found
        return ""


def _section(file: str, name: str) -> Mapping[str, str]:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(file)
    except (OSError, configparser.Error, UnicodeDecodeError) as error:
        raise LoginFailed(f"could not get SigV4 credentials: {file} cannot be read") from error
    return dict(parser[name]) if parser.has_section(name) else {}


def _text(file: str) -> str:
    try:
        return Path(file).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise LoginFailed(f"could not get SigV4 credentials: {file} cannot be read") from error


# -- answers


def _from_json(answer: Answer, what: str) -> Keys:
    try:
        body = json.loads(answer.body) if answer.is_success else None
    except (ValueError, RecursionError):
        body = None
    found = body if isinstance(body, dict) else {}
    return _keys({name: found.get(name) for name in ("AccessKeyId", "SecretAccessKey", "Token", "Expiration")}, what, answer)


def _from_sts(answer: Answer, action: str) -> Keys:
    try:
        root = ET.fromstring(answer.body)  # noqa: S314 - of AWS itself, at most 1 MiB, and expat bounds entities
    except ET.ParseError as error:
        raise LoginFailed(f"could not get SigV4 credentials: operation error STS: {action}, {answer.status_line}") from error
    if not answer.is_success:
        told = f"{root.findtext(f'.//{STS}Code')}: {root.findtext(f'.//{STS}Message')}"
        raise LoginFailed(f"could not get SigV4 credentials: operation error STS: {action}, {answer.status_line}, api error {told}")
    names = ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")
    found: dict[str, Any] = {name: root.findtext(f".//{STS}{name}") for name in names}
    return _keys({**found, "Token": found["SessionToken"]}, action, answer)


def _keys(found: Mapping[str, Any], what: str, answer: Answer) -> Keys:
    access, secret, token, until = (found[name] for name in ("AccessKeyId", "SecretAccessKey", "Token", "Expiration"))
    try:
        expiry = datetime.fromisoformat(until).astimezone(UTC) if until else None
    except (TypeError, ValueError):
        access = None
    if not isinstance(access, str) or not isinstance(secret, str) or not (access and secret):
        raise LoginFailed(f"could not get SigV4 credentials: {what}: no keys in the answer ({answer.status_line})")
    return Keys(access=access, secret=secret, token=token if isinstance(token, str) else "", until=expiry)

"""Where S3 is and whose keys open it, if that is in a profile of `~/.aws`: read by `botocore`, Amazon's own.

Keys and tokens in the environment come first, as in Amazon's tools; the role of a machine, a container or a
pod is left to whoever opens the store.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from stream.errors import StorageRefusedError

if TYPE_CHECKING:
    from botocore.credentials import Credentials
    from obstore.store import S3Credential

_KEPT = timedelta(minutes=5)
"""Less than the ten minutes before their end at which botocore renews keys at the latest."""
_ROLES = ("iam-role", "container-role")
_FILES = {"AWS_CONFIG_FILE": "~/.aws/config", "AWS_SHARED_CREDENTIALS_FILE": "~/.aws/credentials"}
_PROFILE_HINT = "check AWS_PROFILE, `~/.aws/config` and `~/.aws/credentials`: `aws sts get-caller-identity`"


@dataclass(frozen=True)
class AwsAccount:
    """What is known before S3 is asked.

    Attributes:
        found: Where the keys are from, in words; never a key. None: neither environment nor profile has any.
        credentials: Returns present keys, renewed when they expire; None if they are not a profile's.
        endpoint: URL of another S3 than Amazon's, None if none is named.
        region: Of the bucket, None if none is named.
    """

    found: str | None
    credentials: "Callable[[], S3Credential] | None"
    endpoint: str | None
    region: str | None


def find_account() -> AwsAccount:
    """Look at the environment, then at the profile it names, if there is one at all.

    Raises:
        StorageRefusedError: There is no such profile, or it cannot be used.
    """
    if _has_profiles():
        return _of_profile()
    return AwsAccount(_of_environment(), None, _named_endpoint(), _named_region())


def _has_profiles() -> bool:
    """Whether anything would be read; it takes 0.1 s to import what reads it."""
    files = (Path(os.environ.get(name, usual)).expanduser() for name, usual in _FILES.items())
    chosen = os.environ.get("AWS_PROFILE") or os.environ.get("AWS_DEFAULT_PROFILE")
    return bool(chosen) or any(path.exists() for path in files)


def _of_profile() -> AwsAccount:
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - see `_has_profiles`
    from botocore.session import get_session  # noqa: PLC0415 - see `_has_profiles`

    try:
        session = get_session()
        profile = session.profile or "default"
        scoped = session.get_scoped_config()
        services = session.full_config.get("services", {}).get(scoped.get("services"), {})
        found, credentials = _of_environment(), None
        if found is None and session.full_config["profiles"]:
            resolver = session.get_component("credential_provider")
            for role in _ROLES:
                resolver.remove(role)
            if kept := session.get_credentials():
                found, credentials = f"profile `{profile}` ({kept.method})", _renewed(kept)
    except BotoCoreError as error:
        raise StorageRefusedError(f"cannot use the AWS profile: {error}", hint=_PROFILE_HINT) from error
    return AwsAccount(
        found,
        credentials,
        _named_endpoint() or services.get("s3", {}).get("endpoint_url") or scoped.get("endpoint_url"),
        _named_region() or scoped.get("region"),
    )


def _named_endpoint() -> str | None:
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")


def _named_region() -> str | None:
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")


def _of_environment() -> str | None:
    if os.environ.get("AWS_ACCESS_KEY_ID"):
        return "`AWS_ACCESS_KEY_ID` in the environment"
    if os.environ.get("AWS_WEB_IDENTITY_TOKEN_FILE"):
        return "`AWS_WEB_IDENTITY_TOKEN_FILE` in the environment"
    return None


def _renewed(kept: "Credentials") -> "Callable[[], S3Credential]":
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - see `_has_profiles`

    def credentials() -> "S3Credential":
        asked_at = datetime.now(UTC)
        try:
            frozen = kept.get_frozen_credentials()
        except (BotoCoreError, ClientError, RuntimeError) as error:  # RuntimeError: renewed, and expired
            raise OSError(f"the AWS profile gives no keys: {error}") from error
        return {
            "access_key_id": frozen.access_key,
            "secret_access_key": frozen.secret_key,
            "token": frozen.token,
            "expires_at": asked_at + _KEPT,
        }

    return credentials

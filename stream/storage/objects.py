"""An object store as storage, through `obstore`: S3 and what speaks like it, Google Cloud Storage, Azure.

Credentials are found as obstore finds them: the clouds' usual environment variables, the identity of a pod, a
container or a virtual machine; for S3 in a profile of `~/.aws`, too, for Azure as its command line does.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import obstore
from obstore import exceptions
from obstore.store import from_url

from stream.errors import StorageRefusedError, StorageUnavailableError
from stream.storage import aws, azure
from stream.storage.storage import Stored

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

_CONNECT_TIMEOUT = timedelta(seconds=5)
_REQUEST_TIMEOUT = timedelta(seconds=30)
_RETRIES: "RetryConfig" = {
    "max_retries": 4,
    "retry_timeout": timedelta(seconds=4),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=2)},
}
"""Whoever calls waits for much longer, but says so in its log, and looks for the stop signal meanwhile."""
_PAGE = 1000
_GOOGLE = (
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_SERVICE_ACCOUNT",
    "GOOGLE_SERVICE_ACCOUNT_PATH",
    "GOOGLE_SERVICE_ACCOUNT_KEY",
)
_GOOGLE_FILE = "~/.config/gcloud/application_default_credentials.json"
_REFUSALS = (
    exceptions.PermissionDeniedError,
    exceptions.UnauthenticatedError,
    exceptions.NotSupportedError,
    exceptions.InvalidPathError,
    exceptions.UnknownConfigurationKeyError,
    exceptions.NotFoundError,  # of a key it is dealt with before: this one is of the bucket
)
_NO_BUCKET = "status code: 404"
"""A missing key is an error of its own kind: this is what a list says."""
_HINT = (
    "check DATA_URL, AWS_ENDPOINT_URL (or that of the cloud you use), the credentials, and that they may "
    "read, write, list and delete there; `claude-analytics doctor` tries each"
)


class ObjectStorage:
    """See `stream.storage.storage.Storage`.

    Args:
        url: `s3://bucket/prefix`, `gs://…` or `az://…`.

    Raises:
        StorageRefusedError: There is no such kind of store, or its configuration is wrong.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        client: ClientConfig = {
            "connect_timeout": _CONNECT_TIMEOUT,
            "timeout": _REQUEST_TIMEOUT,
        }
        try:
            if certificates := os.environ.get("AWS_CA_BUNDLE"):  # where AWS's own tools look for them
                client["root_certificate"] = Path(certificates).read_bytes()
            self._store: ObjectStore = _opened(self.url, client)
        except (exceptions.BaseError, ValueError, OSError) as error:
            raise StorageRefusedError(
                f"cannot use `{self.url}` as DATA_URL: {_first_line(error)}", hint=_HINT
            ) from error

    def put(self, key: str, content: bytes) -> None:
        """Put an object: one request, which takes effect as a whole."""
        with self._explained(f"write `{key}`"):
            obstore.put(self._store, key, content, use_multipart=False)

    def create(self, key: str, content: bytes) -> bool:
        """Put an object with `If-None-Match: *`: of several that try, the store lets one succeed."""
        with self._explained(f"write `{key}`"):
            try:
                obstore.put(self._store, key, content, mode="create", use_multipart=False)
            except (exceptions.AlreadyExistsError, exceptions.PreconditionError):
                return self.get(key) == content
        return True

    def get(self, key: str) -> bytes | None:
        """Get an object."""
        with self._explained(f"read `{key}`"):
            try:
                return bytes(obstore.get(self._store, key).bytes())
            except (exceptions.NotFoundError, FileNotFoundError):
                return None

    def get_range(self, key: str, start: int, length: int) -> bytes | None:
        """Get a part of an object."""
        with self._explained(f"read `{key}`"):
            try:
                return bytes(obstore.get_range(self._store, key, start=start, length=length))
            except (exceptions.NotFoundError, FileNotFoundError):
                return None

    def list_after(self, prefix: str, offset: str = "") -> Iterator[Stored]:
        """List objects, a thousand a request."""
        with self._explained(f"list `{prefix}`"):
            for page in obstore.list(self._store, prefix, offset=offset or None, chunk_size=_PAGE):
                for each in page:
                    if each["path"] <= offset:  # Azure's lists may begin before it
                        continue
                    changed = f"{each['e_tag']} {each['last_modified'].isoformat()}"
                    yield Stored(each["path"], each["size"], changed)

    def folders(self, prefix: str) -> list[str]:
        """List common prefixes."""
        with self._explained(f"list `{prefix}`"):
            found = obstore.list_with_delimiter(self._store, prefix)["common_prefixes"]
            return sorted(each.rstrip("/").rpartition("/")[2] for each in found)

    def sweep(self, prefix: str) -> None:
        """Do nothing: a put leaves nothing half-written."""

    def delete(self, key: str) -> None:
        """Delete an object."""
        with self._explained(f"delete `{key}`"):
            try:
                obstore.delete(self._store, key)
            except (exceptions.NotFoundError, FileNotFoundError):
                return

    @contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        """Turn what the store answers into an error that says what to do."""
        try:
            yield
        except (*_REFUSALS, ValueError) as error:
            raise StorageRefusedError(
                f"cannot {doing} in `{self.url}`: {_first_line(error)}", hint=_HINT
            ) from error
        except (exceptions.BaseError, OSError) as error:
            if _NO_BUCKET in str(error):
                raise StorageRefusedError(
                    f"cannot {doing} in `{self.url}`: there is no such bucket", hint=_HINT
                ) from error
            raise StorageUnavailableError(
                f"cannot {doing} in `{self.url}`: {_first_line(error)}",
                hint="nothing is lost: it is tried again until the store answers; if it never does, check "
                "DATA_URL and the network",
            ) from error


def credentials_of(url: str) -> str | None:
    """Return where what opens a store is from, in words; never a key.

    Returns:
        None where nothing is named, and the cloud is asked who this machine is.

    Raises:
        StorageRefusedError: No account is named, or there is no such profile.
    """
    scheme = url.partition("://")[0]
    if scheme == "s3":
        return aws.find_account().found
    return azure.find_account().found if scheme == "az" else _of_google()


def _of_google() -> str | None:
    for name in _GOOGLE:
        if os.environ.get(name):
            return f"`{name}` in the environment"
    return f"`{_GOOGLE_FILE}`" if Path(_GOOGLE_FILE).expanduser().exists() else None


def _opened(url: str, client: "ClientConfig") -> "ObjectStore":
    scheme = url.partition("://")[0]
    options: dict[str, Any] = {"retry_config": _RETRIES}
    if scheme == "s3":
        s3 = aws.find_account()
        endpoint, options["credential_provider"] = s3.endpoint, s3.credentials
        said = {"region": s3.region, "endpoint": endpoint}
    elif scheme == "az":
        account = azure.find_account()
        endpoint = account.endpoint
        said = {"account_name": account.name, "endpoint": endpoint}
        said |= {"account_key": account.key, "sas_key": account.sas_token}
    else:
        endpoint, said = os.environ.get("GOOGLE_BASE_URL"), {}
    # An endpoint without TLS is somebody's own choice, and never the default.
    client["allow_http"] = (endpoint or "").startswith("http://")
    config: Any = {name: value for name, value in said.items() if value}
    return from_url(url, config=config, client_options=client, **options)


def _first_line(error: Exception) -> str:
    text = str(error).strip().partition("\n")[0]
    return text or type(error).__name__

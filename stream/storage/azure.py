"""Which storage account of Azure is meant and what opens it, where the environment says so.

The names are those of Azure's own command line and of `obstore`. Where nothing opens it, whoever asks Azure
looks further: the service principal of the environment, the identity of a pod or of a virtual machine.
"""

import os
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from stream.errors import StorageRefusedError

_NAMES = ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT")
_KEYS = ("AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ACCESS_KEY", "AZURE_STORAGE_KEY")
_TOKENS = ("AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_SAS_KEY")
_ENDPOINTS = ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT")
_CONNECTION = "AZURE_STORAGE_CONNECTION_STRING"
_SUFFIX = "core.windows.net"


@dataclass(frozen=True)
class AzureAccount:
    """What is known before Azure is asked.

    Attributes:
        name: Of the account.
        key: Shared key, None if none is named.
        sas_token: Shared access signature, None if none is named.
        endpoint: URL of the account's blobs.
    """

    name: str
    key: str | None = field(repr=False)
    sas_token: str | None = field(repr=False)
    endpoint: str

    @property
    def found(self) -> str | None:
        """What opens it, in words; None where Azure is asked who this machine is."""
        if self.key:
            return f"the environment: a key of the account `{self.name}`"
        client = os.environ.get("AZURE_CLIENT_ID")
        by = "a signature" if self.sas_token else f"the client `{client}`" if client else None
        return by and f"the environment: {by} for the account `{self.name}`"

    @property
    def is_elsewhere(self) -> bool:
        """Whether the endpoint is none of Azure's, which are named after the account."""
        return not (urlsplit(self.endpoint).hostname or "").startswith(f"{self.name}.blob.")

    @property
    def host(self) -> str:
        """Host of the account's files, by which tables name it."""
        if self.is_elsewhere:
            return f"{self.name}.dfs.{_SUFFIX}"
        return (urlsplit(self.endpoint).hostname or "").replace(".blob.", ".dfs.", 1)


def find_account() -> AzureAccount:
    """Look at the environment; what a connection string says counts most, as in Azure's own tools.

    Raises:
        StorageRefusedError: No account is named.
    """
    parts = dict(
        each.split("=", 1) for each in os.environ.get(_CONNECTION, "").split(";") if each.partition("=")[1]
    )
    name = parts.get("AccountName") or _first(_NAMES)
    if name is None:
        raise StorageRefusedError(
            "DATA_URL is in Azure, and no storage account is named",
            hint=f"set {_NAMES[0]}, or {_CONNECTION}",
        )
    suffix = parts.get("EndpointSuffix", _SUFFIX)
    return AzureAccount(
        name,
        parts.get("AccountKey") or _first(_KEYS),
        parts.get("SharedAccessSignature") or _first(_TOKENS),
        (parts.get("BlobEndpoint") or _first(_ENDPOINTS) or f"https://{name}.blob.{suffix}").rstrip("/"),
    )


def _first(names: tuple[str, ...]) -> str | None:
    return next((value for name in names if (value := os.environ.get(name))), None)

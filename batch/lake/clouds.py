"""Tables in a bucket: their URLs and the storage behind them, in Spark's words and in PyIceberg's."""

import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from stream.storage import aws, azure

_HADOOP = "org.apache.iceberg.hadoop.HadoopFileIO"
_BY_SCHEME = "org.apache.iceberg.io.ResolvingFileIO"
"""Of each file's own URL: landed files may be in a folder, the tables in a bucket."""
_GOOGLE = {
    "impl": "com.google.cloud.hadoop.fs.gcs.GoogleHadoopFileSystem",
    # As Google's own tools; unasked it would be the virtual machine's identity alone.
    "auth.type": "APPLICATION_DEFAULT",
}
"""Google's connector, which is one library; those of Iceberg's own way are eighty."""


def table_url(url: str) -> str:
    """Return how tables write a URL of DATA_URL; Azure's name the account, too.

    Args:
        url: `az://container/prefix`, or one of another store, which stays as it is.

    Raises:
        StorageRefusedError: No account is named.
    """
    place = urlsplit(url)
    if place.scheme != "az":
        return url
    return f"abfss://{place.netloc}@{azure.find_account().host}{place.path}"


def spark_storage(scheme: str) -> dict[str, str]:
    """Return properties of a catalog in Spark.

    Args:
        scheme: Of the tables' URLs.

    Raises:
        StorageRefusedError: The cloud's account is not named, or its profile cannot be used.
    """
    if scheme == "s3":
        return {"io-impl": _BY_SCHEME, **_s3()}
    if scheme == "abfss":
        return {"io-impl": _BY_SCHEME, **_azure_in_java(azure.find_account())}
    if scheme == "gs":
        google = {f"hadoop.fs.gs.{name}": value for name, value in _GOOGLE.items()}
        return {"io-impl": _HADOOP, **google, **_known({"hadoop.fs.gs.storage.root.url": _google_endpoint()})}
    return {}


def pyiceberg_storage(scheme: str) -> dict[str, str]:
    """Return properties of a catalog in PyIceberg. Arguments and errors as of `spark_storage`."""
    if scheme == "s3":
        return _s3()
    if scheme == "abfss":
        return _azure_in_python(azure.find_account())
    if scheme == "gs":
        return _known({"gcs.service.host": _google_endpoint()})
    return {}


def _s3() -> dict[str, str]:
    """Return endpoint and region; keys stay where Spark and PyArrow find them by themselves."""
    account = aws.find_account()
    endpoint = account.endpoint
    # Another S3 has no regions, but clients want one.
    region = account.region or ("us-east-1" if endpoint else None)
    path_style = "true" if endpoint else None
    return _known(
        {
            "s3.endpoint": endpoint,
            "s3.region": region,
            "client.region": region,
            "s3.path-style-access": path_style,
        }
    )


def _azure_in_java(account: azure.AzureAccount) -> dict[str, str]:
    """Return key or signature; without them Azure's client asks for an identity by itself."""
    settings = {}
    if account.is_elsewhere:
        settings[f"adls.connection-string.{account.host}"] = account.endpoint
    if account.key:
        settings["adls.auth.shared-key.account.name"] = account.name
        settings["adls.auth.shared-key.account.key"] = account.key
    elif account.sas_token:
        settings[f"adls.sas-token.{account.host}"] = account.sas_token
    return settings


def _azure_in_python(account: azure.AzureAccount) -> dict[str, str]:
    if account.is_elsewhere and (account.key or account.sas_token):
        secret = f"AccountKey={account.key}" if account.key else f"SharedAccessSignature={account.sas_token}"
        place = f"AccountName={account.name};{secret};BlobEndpoint={account.endpoint};"
        return {"adls.account-name": account.name, "adls.connection-string": place}
    return _known(
        {
            "adls.account-name": account.name,
            "adls.account-host": account.endpoint.partition("://")[2],
            "adls.account-key": account.key,
            "adls.sas-token": account.sas_token,
        }
    )


def _google_endpoint() -> str | None:
    """Return another place than Google's usual one, as `obstore` is told it."""
    return os.environ.get("GOOGLE_BASE_URL")


def _known(settings: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in settings.items() if value}

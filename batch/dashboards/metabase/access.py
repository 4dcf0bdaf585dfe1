"""The way in: waits for Metabase, makes its first account where there is none, signs in."""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from batch.dashboards.metabase.client import MetabaseClient
from stream.errors import (
    MetabaseRefusedError,
    MetabaseUnreachableError,
    MetabaseUnsuitableError,
    SettingsError,
)

OLDEST = 63
_SITE_NAME = "Claude Analytics"
_TRACKING = "anon-tracking-enabled"
_PAUSE_SECONDS = 1.0
_PROPERTIES = "/api/session/properties"
_OF_ADMINISTRATORS = (
    "set METABASE_USER and METABASE_PASSWORD to one of its administrators without a second factor, or "
    "METABASE_API_KEY to a key of its group Administrators"
)


@dataclass(frozen=True)
class Account:
    """Who we are in Metabase; an API key goes before user and password.

    Attributes:
        user: An e-mail address.
        password: Of the user.
        api_key: Of the group Administrators.
    """

    user: str | None = None
    password: str | None = None
    api_key: str | None = None


def wait_until_started(
    client: MetabaseClient,
    *,
    wait_seconds: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait until Metabase has started.

    Args:
        client: To ask with.
        wait_seconds: Before giving up.
        clock: Gives seconds, from any origin.
        sleep: Waits between two questions.

    Raises:
        MetabaseUnreachableError: Nothing answers, or it is still starting.
    """
    until = clock() + wait_seconds
    while True:
        try:
            if client.is_healthy():
                return
        except MetabaseUnreachableError:
            if clock() >= until:
                raise
        if clock() >= until:
            raise MetabaseUnreachableError(
                f"Metabase at `{client.url}` has not started within {wait_seconds:g} s",
                hint="look into its log; give it longer with METABASE_WAIT_SECONDS, then try again",
            )
        sleep(_PAUSE_SECONDS)


def enter(client: MetabaseClient, account: Account) -> bool:
    """Sign in; make the administrator first if Metabase is new. Its usage tracking is off afterwards.

    Returns:
        Whether the administrator was made.

    Raises:
        MetabaseUnsuitableError: Metabase is too old, or lacks the DuckDB driver.
        MetabaseRefusedError: It does not let us in, or not as an administrator.
        SettingsError: User, password or key is missing, or cannot be used for a first account.
    """
    properties = client.get(_PROPERTIES)
    _require_suitable(client, properties)
    is_new = not properties.get("has-user-setup", True)
    if is_new:
        _set_up(client, account, properties.get("setup-token"))
    elif account.api_key:
        client.use_api_key(account.api_key)
    else:
        _sign_in(client, account)
    _require_administrator(client, account)
    if client.get(_PROPERTIES).get(_TRACKING) is not False:
        client.request("PUT", f"/api/setting/{_TRACKING}", {"value": False})
    return is_new


def _require_suitable(client: MetabaseClient, properties: Mapping[str, Any]) -> None:
    tag = (properties.get("version") or {}).get("tag") or ""
    # v0.63.1 is the free edition, v1.63.1 the other; a build of one's own has no number.
    found = re.match(r"v?\d+\.(\d+)", tag)
    if found and int(found[1]) < OLDEST:
        raise MetabaseUnsuitableError(
            f"Metabase at `{client.url}` is {tag}: too old",
            hint=f"update it to 0.{OLDEST} or newer; `deploy/metabase` has one that fits",
        )
    if "duckdb" not in properties.get("engines", {"duckdb": {}}):
        raise MetabaseUnsuitableError(
            f"Metabase at `{client.url}` has no DuckDB driver",
            hint="put `duckdb.metabase-driver.jar` into its plugins, or use the image of `deploy/metabase`",
        )


def _set_up(client: MetabaseClient, account: Account, token: str | None) -> None:
    user, password = _credentials(client, account, "has no administrator yet")
    body = {
        "token": token,
        "user": {"email": user, "password": password},
        "prefs": {"site_name": _SITE_NAME},
    }
    try:
        session = client.request("POST", "/api/setup", body)
    except MetabaseRefusedError as error:
        raise MetabaseRefusedError(
            f"Metabase at `{client.url}` does not make the administrator `{user}`: {error.message}",
            hint="set METABASE_USER to an e-mail address and METABASE_PASSWORD to one it takes: six "
            "characters or more, and not a common one; if somebody else has set it up meanwhile, try again",
        ) from error
    client.use_session(session["id"])


def _sign_in(client: MetabaseClient, account: Account) -> None:
    user, password = _credentials(client, account, "asks who you are")
    try:
        session = client.request("POST", "/api/session", {"username": user, "password": password})
    except MetabaseRefusedError as error:
        raise MetabaseRefusedError(
            f"`{user}` cannot sign in to Metabase at `{client.url}`: {error.message}",
            hint=f"somebody has set this Metabase up already: {_OF_ADMINISTRATORS}",
        ) from error
    if not isinstance(session, Mapping) or "id" not in session:
        # It takes the password, and gives no session before a second factor is shown.
        raise MetabaseRefusedError(
            f"`{user}` cannot sign in to Metabase at `{client.url}` with a password alone: it asks for a "
            "second factor",
            hint=_OF_ADMINISTRATORS,
        )
    client.use_session(session["id"])


def _require_administrator(client: MetabaseClient, account: Account) -> None:
    if client.get("/api/user/current").get("is_superuser") is not True:
        who = "the API key" if account.api_key else f"`{account.user}`"
        raise MetabaseRefusedError(
            f"{who} is not of the group Administrators of Metabase at `{client.url}`", hint=_OF_ADMINISTRATORS
        )


def _credentials(client: MetabaseClient, account: Account, why: str) -> tuple[str, str]:
    if account.user and account.password:
        return account.user, account.password
    raise SettingsError(
        f"Metabase at `{client.url}` {why}, but user or password is not set",
        hint="set METABASE_USER (an e-mail address) and METABASE_PASSWORD",
    )

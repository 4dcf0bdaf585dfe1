"""Metabase's REST API: sends requests, and turns what can go wrong into our errors."""

from collections.abc import Mapping
from typing import Any

import requests

from stream.errors import MetabaseRefusedError, MetabaseUnreachableError, MetabaseUnsuitableError

_TIMEOUT_SECONDS = 60
_SESSION_HEADER = "X-Metabase-Session"
_API_KEY_HEADER = "X-API-Key"
_OK, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _TOO_MANY, _BROKEN = 400, 401, 403, 404, 429, 500


class MetabaseClient:
    """One Metabase.

    Attributes:
        url: Its address, without a slash at the end.
    """

    def __init__(self, url: str, *, timeout_seconds: float = _TIMEOUT_SECONDS) -> None:
        self.url = url.rstrip("/")
        self._timeout_seconds = timeout_seconds
        self._http = requests.Session()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def use_session(self, session_id: str) -> None:
        """Act as the user of a session from now on."""
        self._http.headers[_SESSION_HEADER] = session_id

    def use_api_key(self, key: str) -> None:
        """Act as the group of an API key from now on."""
        self._http.headers[_API_KEY_HEADER] = key

    def is_healthy(self) -> bool:
        """Whether it answers and has started.

        Raises:
            MetabaseUnreachableError: Nothing answers.
        """
        return self._send("GET", "/api/health", None, None).status_code < _OK

    def get(self, path: str, **query: str | int) -> Any:  # noqa: ANN401 - whatever JSON the path gives
        """Ask for something; raises as `request` does."""
        return self._json(self._checked("GET", path, query=query))

    def request(self, method: str, path: str, body: Mapping[str, Any]) -> Any:  # noqa: ANN401 - as `get`
        """Send a body, and give what is answered.

        Raises:
            MetabaseUnreachableError: Nothing answers, or it answers that it cannot just now.
            MetabaseRefusedError: It does not let us, or does not take the body.
            MetabaseUnsuitableError: It does not know the path.
        """
        return self._json(self._checked(method, path, body=body))

    def _checked(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> requests.Response:
        answer = self._send(method, path, query, body)
        status, what = answer.status_code, f"`{method} {path}` at `{self.url}`"
        if status < _OK:
            return answer
        if status in {_UNAUTHORIZED, _FORBIDDEN}:
            raise MetabaseRefusedError(
                f"{what} is not allowed: {_reason(answer)}",
                hint="use an account or an API key of Metabase's group Administrators",
            )
        if status == _NOT_FOUND:
            raise MetabaseUnsuitableError(
                f"{what} does not exist there: {_reason(answer)}",
                hint="check that METABASE_URL names a Metabase 0.63 or newer, and not something else",
            )
        if status == _TOO_MANY or status >= _BROKEN:
            raise MetabaseUnreachableError(
                f"{what} failed: {status} {_reason(answer)}",
                hint="look into Metabase's log, then try again; what was done already is not done twice",
            )
        raise MetabaseRefusedError(
            f"{what} was refused: {_reason(answer)}",
            hint="if Metabase is newer than this program, update the program; else report this",
        )

    def _send(
        self, method: str, path: str, query: Mapping[str, str | int] | None, body: Mapping[str, Any] | None
    ) -> requests.Response:
        try:
            return self._http.request(
                method, f"{self.url}{path}", params=query, json=body, timeout=self._timeout_seconds
            )
        except requests.RequestException as error:
            raise MetabaseUnreachableError(
                f"no Metabase answers at `{self.url}`: {_cause(error)}",
                hint="start it, or set METABASE_URL to where it is; then try again",
            ) from error

    def _json(self, answer: requests.Response) -> Any:  # noqa: ANN401 - as `get`
        if not answer.content:
            return None
        try:
            return answer.json()
        except requests.JSONDecodeError as error:
            raise MetabaseUnsuitableError(
                f"`{self.url}` answers, but not as a Metabase does",
                hint="set METABASE_URL to the address of Metabase itself",
            ) from error


def _cause(error: requests.RequestException) -> str:
    """Tell the innermost cause, without the library's wrapping."""
    cause: BaseException = error
    while (inner := cause.__cause__ or cause.__context__) is not None:
        cause = inner
    return str(cause) or type(cause).__name__


def _reason(answer: requests.Response) -> str:
    """Say what the server says about an error, in one line."""
    try:
        told = answer.json()
    except requests.JSONDecodeError:
        told = answer.text
    if isinstance(told, dict):
        told = told.get("errors") or told.get("message") or told
    if isinstance(told, dict):
        told = "; ".join(f"{name}: {text}" for name, text in told.items())
    return " ".join(str(told).split())[:300] or "no reason given"

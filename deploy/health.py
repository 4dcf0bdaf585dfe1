"""Say whether a process of Claude Analytics answers at its port: exit code 0 if so, 1 if not.

    python health.py PORT

Any answer counts, a refusal too. Lag and failed runs are for alerts: a restart mends neither.
"""

import http.client
import sys

_PATIENCE_SECONDS = 5


def main() -> None:
    """Ask once."""
    connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=_PATIENCE_SECONDS)
    try:
        connection.request("HEAD", "/")
        connection.getresponse()
    except (OSError, http.client.HTTPException) as error:
        sys.exit(f"nothing answers at port {sys.argv[1]}: {error}")


main()

"""A stand-in for Grafana that reads what the real one is given: secret, provisioning, dashboards.

It refuses to start where the real one would: without its password, or where it cannot write. Its health is
that of its data source, so a healthy Grafana has reached Prometheus.
"""

import http.server
import json
import os
import pathlib
import re
import urllib.request

DATA = pathlib.Path("/var/lib/grafana")


def main() -> None:
    """Read the configuration, then serve."""
    password = pathlib.Path(os.environ["GF_SECURITY_ADMIN_PASSWORD__FILE"]).read_text(encoding="utf-8")
    if not password.strip():
        raise SystemExit("no password for the administrator")
    (DATA / "grafana.db").touch()
    sources = pathlib.Path("/etc/grafana/provisioning/datasources").glob("*.yml")
    (url,) = (
        found for file in sources for found in re.findall(r"^\s+url: (\S+)", file.read_text(), re.MULTILINE)
    )
    providers = pathlib.Path("/etc/grafana/provisioning/dashboards").glob("*.yml")
    (folder,) = (
        found for file in providers for found in re.findall(r"path: (\S+)", file.read_text(), re.MULTILINE)
    )
    titles = [json.loads(file.read_text())["title"] for file in sorted(pathlib.Path(folder).glob("*.json"))]
    if not titles:
        raise SystemExit(f"no dashboards in {folder}")
    print(f"provisioned {titles} from {url}", flush=True)  # noqa: T201 - its log

    class Handler(http.server.BaseHTTPRequestHandler):
        """Answers for health, and asks Prometheus for whatever is asked of its data source."""

        def do_HEAD(self) -> None:
            """As wget asks."""
            self.do_GET()

        def do_GET(self) -> None:
            """Answer."""
            path = "/-/ready" if self.path == "/api/health" else self.path.removeprefix("/proxy")
            try:
                with urllib.request.urlopen(url.rstrip("/") + path, timeout=4) as answer:  # noqa: S310 - ours
                    status, body = answer.status, answer.read()
            except OSError as error:
                status, body = 503, str(error).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

    http.server.ThreadingHTTPServer(("0.0.0.0", 3000), Handler).serve_forever()  # noqa: S104 - in a container


main()

"""A proxy before `fake-gcs-server`, in a process of its own: PyArrow keeps Python waiting while it reads.

That server speaks the JSON interface, as Spark and PyArrow ask it. `obstore` writes and lists by the XML
interface, of which it has only reads and deletes: the rest is said in JSON here
(https://cloud.google.com/storage/docs/xml-api/reference-methods). Tokens are handed out to everybody.
"""

import json
import signal
import sys
from collections.abc import Mapping
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit
from xml.etree import ElementTree as ET

import requests

from tests.support.s3_proxy import Answer, Request, S3Proxy


class GoogleFront(S3Proxy):
    """Hands on what the server understands, and says the rest in its words."""

    def _ask(self, request: Request, body: bytes) -> Answer:
        place = urlsplit(request.path)
        bucket, _, key = place.path.removeprefix("/").partition("/")
        if bucket == "token":
            token = {"access_token": "none", "token_type": "Bearer", "expires_in": 3600}
            return requests.codes.ok, [("Content-Type", "application/json")], json.dumps(token).encode()
        if bucket in {"storage", "upload", "download", "resumable"}:
            return super()._ask(request, body)
        said = dict(parse_qsl(place.query, keep_blank_values=True))
        if request.command == "PUT" and key:
            return self._put(request, bucket, key, body)
        if request.command == "GET" and said.get("list-type") == "2":
            return self._listed(request, bucket, said)
        return super()._ask(request, body)

    def _put(self, request: Request, bucket: str, key: str, body: bytes) -> Answer:
        words = {"uploadType": "media", "name": unquote(key)}
        if (generation := request.headers.get("x-goog-if-generation-match")) is not None:
            words["ifGenerationMatch"] = generation
        request.command = "POST"
        request.path = f"/upload/storage/v1/b/{bucket}/o?{urlencode(words, quote_via=quote)}"
        status, _, content = super()._ask(request, body)
        headers = [("ETag", json.loads(content)["etag"])] if status == requests.codes.ok else []
        return status, headers, b""

    def _listed(self, request: Request, bucket: str, said: Mapping[str, str]) -> Answer:
        after = said.get("start-after", "")
        words = {
            "prefix": said.get("prefix", ""),
            "delimiter": said.get("delimiter", ""),
            "startOffset": after,
            "pageToken": said.get("continuation-token", ""),
            "maxResults": said.get("max-keys", "1000"),
        }
        request.path = f"/storage/v1/b/{bucket}/o?{urlencode({k: v for k, v in words.items() if v})}"
        status, headers, content = super()._ask(request, b"")
        if status != requests.codes.ok:
            return status, headers, content
        found = json.loads(content)
        result = ET.Element("ListBucketResult")
        for each in found.get("items", []):
            if each["name"] != after:  # JSON's offset is the first that is given, XML's the last that is not
                entry = ET.SubElement(result, "Contents")
                named = (("Key", "name"), ("LastModified", "updated"), ("ETag", "etag"), ("Size", "size"))
                for name, theirs in named:
                    ET.SubElement(entry, name).text = str(each[theirs])
        for prefix in found.get("prefixes", []):
            ET.SubElement(ET.SubElement(result, "CommonPrefixes"), "Prefix").text = prefix
        if token := found.get("nextPageToken"):
            ET.SubElement(result, "NextContinuationToken").text = token
        return status, [("Content-Type", "application/xml")], ET.tostring(result)


def main() -> None:
    """Run until it is stopped: `google_front PORT SERVER`."""
    port, server = sys.argv[1:]
    with GoogleFront(server, port=int(port)):
        signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    main()

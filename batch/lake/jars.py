"""Spark's libraries: named by Maven coordinates, fetched once, and never used with another checksum."""

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from stream.disk import disk_errors, make_folder
from stream.errors import SettingsError, StepFailedError

_BLOCK_BYTES = 1 << 20
_OLDEST_JAVA, _NEWEST_JAVA = 17, 21
_VERSION = re.compile(r'version "(?P<major>\d+)')
_JAVA_HINT = (
    "install a JDK of version 17 or 21 (Debian, Ubuntu: apt-get install openjdk-17-jre-headless) and let "
    "PATH name it; or set SPARK_REMOTE, which needs no Java here"
)

Fetch = Callable[[Sequence["Jar"], Path], None]
"""Puts the files of some jars into a folder."""


@dataclass(frozen=True)
class Jar:
    """One library.

    Attributes:
        group: Of its Maven coordinates.
        artifact: Of its Maven coordinates.
        version: Of its Maven coordinates.
        sha256: Checksum of the file.
        classifier: Of its Maven coordinates, if it has one.
    """

    group: str
    artifact: str
    version: str
    sha256: str
    classifier: str = ""

    @property
    def file_name(self) -> str:
        """Name of its file."""
        return "-".join(filter(None, (self.artifact, self.version, self.classifier))) + ".jar"


ICEBERG_VERSION = "1.12.0"
ICEBERG = Jar(
    "org.apache.iceberg",
    "iceberg-spark-runtime-4.1_2.13",
    ICEBERG_VERSION,
    "3123c3798af642dd537230923548e013ef41cc28b6626e5225808cf5670a0f82",
)
S3 = Jar(
    "org.apache.iceberg",
    "iceberg-aws-bundle",
    ICEBERG_VERSION,
    "dd7e49ffa4ac9b215bed846581991259e3aec9bb2fa08d6cec029c46cd66d957",
)
POSTGRESQL = Jar(
    "org.postgresql",
    "postgresql",
    "42.7.8",
    "2a32a9dcbc42d67a50ad3a0de5efd102c8d2be46720045f2cbd6689f160ab7c7",
)
GOOGLE = Jar(
    "com.google.cloud.bigdataoss",
    "gcs-connector",
    "4.0.0",
    "784efd5e56df22245dac765402320f586c364cddbe3cfc80338ec554f00cf05f",
    classifier="shaded",
)
AZURE = tuple(
    Jar(group, artifact, version, sha256)
    for line in Path(__file__).with_name("azure_jars.txt").read_text(encoding="utf-8").splitlines()
    for sha256, group, artifact, version in [re.split(r"[\s:]+", line)]
)
"""Azure's clients with the HTTP client of Java itself, and all they need that Spark has not."""
OF_CLOUD = {"s3": (S3,), "gs": (GOOGLE,), "abfss": AZURE}
"""More libraries, by the scheme of the tables' URLs."""


def needed_jars(*schemes: str) -> tuple[Jar, ...]:
    """Return the libraries that Spark needs.

    Args:
        schemes: Of the URLs of tables: `file`, `s3`, `gs` or `abfss`.
    """
    return (ICEBERG, POSTGRESQL, *(jar for scheme in schemes for jar in OF_CLOUD.get(scheme, ())))


def fetched(jars: Iterable[Jar], folder: Path, *, fetch: Fetch | None = None) -> list[Path]:
    """Return the files of libraries, fetched first if they are not in the folder.

    A file appears under its name only once it is whole and its checksum is right.

    Args:
        jars: Which.
        folder: The cache.
        fetch: Gets what is missing; Maven if None.

    Raises:
        SettingsError: There is no Maven, and something is missing.
        StepFailedError: Maven cannot fetch it, or what it fetched is something else.
    """
    wanted = list(jars)
    missing = [jar for jar in wanted if not (folder / jar.file_name).exists()]
    if missing:
        with disk_errors(folder):
            make_folder(folder)
            with tempfile.TemporaryDirectory(prefix=".fetching-", dir=folder) as name:
                (fetch or _fetch_with_maven)(missing, Path(name))
                for jar in missing:
                    _require_checksum(Path(name) / jar.file_name, jar)
                    (Path(name) / jar.file_name).replace(folder / jar.file_name)
    return [folder / jar.file_name for jar in wanted]


def require_java(run: Callable[..., "subprocess.CompletedProcess[str]"] = subprocess.run) -> int:
    """Return the version of the Java that Spark would start here.

    Raises:
        SettingsError: There is none, or Spark does not run on it.
    """
    home = shutil.which("java")
    try:
        said = run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    except OSError:
        raise SettingsError("there is no Java here, which Spark needs", hint=_JAVA_HINT) from None
    found = _VERSION.search(said)
    major = int(found["major"]) if found else 0
    if not _OLDEST_JAVA <= major <= _NEWEST_JAVA:
        raise SettingsError(f"Spark does not run on the Java at `{home}`, version {major}", hint=_JAVA_HINT)
    return major


def _require_checksum(path: Path, jar: Jar) -> None:
    checksum = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                checksum.update(block)
    except FileNotFoundError:
        raise StepFailedError(f"Maven did not fetch `{path.name}`", hint="try again") from None
    if checksum.hexdigest() != jar.sha256:
        raise StepFailedError(
            f"`{path.name}` has the checksum {checksum.hexdigest()}, not {jar.sha256}",
            hint="it is not used; find out what the Maven repository of this machine hands out",
        )


def _fetch_with_maven(jars: Sequence[Jar], folder: Path) -> None:
    """Let Maven copy the files: it knows the repositories, mirrors and proxies of this machine."""
    maven = shutil.which("mvn")
    names = ", ".join(f"`{jar.group}:{jar.artifact}:{jar.version}`" for jar in jars)
    if maven is None:
        raise SettingsError(
            f"there is no Maven here to fetch {names}",
            hint="install it (Debian, Ubuntu: apt-get install maven), or put these files into LAKE_JARS_DIR",
        )
    (folder / "pom.xml").write_text(_project(jars), encoding="utf-8")
    goal = ("dependency:copy-dependencies", "-DexcludeTransitive=true", f"-DoutputDirectory={folder}")
    done = subprocess.run(  # noqa: S603 - our own words
        [maven, "--batch-mode", "--quiet", "--file", str(folder / "pom.xml"), *goal],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = [line for line in done.stdout.splitlines() if "ERROR" in line] or ["it says nothing"]
        raise StepFailedError(
            f"Maven cannot fetch {names}: {lines[0]}",
            hint="check the network and Maven's settings; or put these files into LAKE_JARS_DIR",
        )


def _project(jars: Sequence[Jar]) -> str:
    dependencies = "".join(
        f"<dependency><groupId>{jar.group}</groupId><artifactId>{jar.artifact}</artifactId>"
        f"<version>{jar.version}</version>"
        + (f"<classifier>{jar.classifier}</classifier>" if jar.classifier else "")
        + "</dependency>"
        for jar in jars
    )
    return (
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        "<groupId>local</groupId><artifactId>jars</artifactId><version>1</version><packaging>pom</packaging>"
        f"<dependencies>{dependencies}</dependencies></project>"
    )


def main() -> None:
    """Put all that Spark may need into the folder that is named; images fetch nothing later."""
    for path in fetched(needed_jars(*OF_CLOUD), Path(sys.argv[1])):
        print(path)  # noqa: T201 - a program


if __name__ == "__main__":
    main()

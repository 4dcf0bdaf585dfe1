"""Builds the optional C extensions into wheels and editable installations.

Without a C compiler or Python's headers there is a wheel without them: the same program, slower.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import sys_tags
from setuptools import Distribution, Extension
from setuptools.command.build_ext import build_ext

SOURCES = {
    "stream.decode._transcribe": "stream/decode/transcribe.c",
    "batch.importer._encode": "batch/importer/encode.c",
}


class ExtensionBuildHook(BuildHookInterface[Any]):
    """Compiles beside the source for an editable installation, else into the wheel."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and say so if that is not possible."""
        self._folder = tempfile.TemporaryDirectory()
        for module, source in SOURCES.items():
            try:
                built = self._compile(module, source, Path(self._folder.name))
            except Exception as error:  # noqa: BLE001 - whatever the compiler lacks, nobody needs it
                self.app.display_warning(
                    f"{source} is not compiled, all works without it but slower: {error}"
                )
                continue
            target = Path(source).with_name(built.name)
            if version == "editable":
                # In one step, as a program may be running with the former one.
                beside = Path(self.root) / f"{target}.new"
                beside.write_bytes(built.read_bytes())
                beside.replace(Path(self.root) / target)
                continue
            build_data["force_include"][str(built)] = str(target)
            build_data["pure_python"] = False
            build_data["tag"] = f"cp311-abi3-{_platform()}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Clear away what was compiled."""
        self._folder.cleanup()

    def _compile(self, module: str, source: str, folder: Path) -> Path:
        extension = Extension(module, [str(Path(self.root) / source)], py_limited_api=True)
        if sys.platform != "win32":
            extension.extra_compile_args = ["-O3", "-std=c11", "-g0"]
        else:
            extension.extra_compile_args = ["/O2", "/std:c11"]
        command = build_ext(Distribution({"ext_modules": [extension]}))
        command.build_lib, command.build_temp = str(folder / "lib"), str(folder / "temp")
        command.ensure_finalized()
        command.run()
        return Path(command.get_ext_fullpath(module))


def _platform() -> str:
    """Return the platform of the wheel; like `hatchling`, without a promise about old systems."""
    return next(
        tag.platform
        for tag in sys_tags()
        if "manylinux" not in tag.platform and "musllinux" not in tag.platform
    )

"""What is kept on disk as JSON for later runs: written, read and checked for its version in one way. Pure."""

from typing import Any, Self

import pydantic_core
from pydantic import BaseModel, ConfigDict, ValidationError

from stream.errors import SchemaTooNewError


class State(BaseModel):
    """One state file. Fields that this program does not know are left out when it is read.

    A subclass gives `schema_version` the number that it writes as default, which is the newest it can read;
    raise it whenever an older program would misread what is written.

    Attributes:
        schema_version: Of the form that it has here, whatever version it was read from.
    """

    model_config = ConfigDict(frozen=True, validate_by_name=True, validate_by_alias=True)

    schema_version: int = 1

    def to_json(self, *, indent: int | None = None) -> bytes:
        """Write it, in UTF-8."""
        return self.model_dump_json(by_alias=True, indent=indent).encode()

    @classmethod
    def from_json(cls, content: bytes, *, what: str) -> Self:
        """Read what any version so far has written.

        Args:
            content: The file's.
            what: How messages name it.

        Raises:
            SchemaTooNewError: A newer version of this program wrote it.
            ValueError: It is something else; the text says what is wrong, in one line.
        """
        fields = pydantic_core.from_json(content)
        if not isinstance(fields, dict):
            raise ValueError("it is no JSON object")  # noqa: TRY004 - about a file's content
        number = cls.model_fields["schema_version"]
        # The first ones had no version.
        version = fields.pop(number.alias or "schema_version", 1)
        try:
            SchemaTooNewError.require_known(what, version=version, known=number.default)
            return cls.model_validate(cls.upgraded(fields, version))
        except ValidationError as error:
            raise ValueError(problems_of(error)) from error
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from error

    @classmethod
    def upgraded(cls, fields: dict[str, Any], version: int) -> dict[str, Any]:  # noqa: ARG003 - for subclasses
        """Return the fields of an older version as this one writes them, those of this one as they are."""
        return fields


def problems_of(error: ValidationError) -> str:
    """Say in one line what pydantic finds wrong, without the values."""
    found = error.errors(include_input=False, include_url=False)
    told = (f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in found)
    return "; ".join(each.removeprefix(": ") for each in told)

"""The two model bases: Clover's side is open and forgiving, Codat's side is closed and exact."""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class CloverModel(BaseModel):
    """A record as Clover sends it: field names untouched, unknown fields kept in ``model_extra``."""

    model_config = ConfigDict(frozen=True, extra="allow", str_strip_whitespace=False)


class CodatModel(BaseModel):
    """A record as Codat serves it: snake_case here, camelCase on the wire, unknown fields refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True, validate_by_alias=True
    )

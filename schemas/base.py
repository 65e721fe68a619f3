"""The two model bases, Clover's side open and forgiving, Codat's closed and exact; and the type of a currency code."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict
from pydantic.alias_generators import to_camel


class CloverModel(BaseModel):
    """A record as Clover sends it: field names untouched, unknown fields kept in ``model_extra``."""

    model_config = ConfigDict(frozen=True, extra="allow", str_strip_whitespace=False)


class CodatModel(BaseModel):
    """A record as Codat serves it: snake_case here, camelCase on the wire, unknown fields refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True, validate_by_alias=True
    )


def _upper(value: object) -> object:
    return value.strip().upper() if isinstance(value, str) else value


def _three_letters(value: str) -> str:
    if len(value) != 3 or not value.isascii() or not value.isalpha():
        raise ValueError("a currency has three letters")
    return value


Currency = Annotated[str, BeforeValidator(_upper), AfterValidator(_three_letters)]
"""An ISO 4217 code in upper case; Clover writes ``usd`` on charges and ``USD`` on orders."""

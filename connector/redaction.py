"""Takes out of any text what must never be shown: tokens, card numbers, e-mail addresses.

The last net under everything that is logged or printed; code should not put secrets there to begin with.
Known secrets are replaced wherever they stand; unknown ones by their shape or by the key they stand behind.
"""

import re
import traceback
from collections.abc import Iterable, Mapping
from typing import Any

from connector.errors import ConnectorError

HIDDEN = "[hidden]"
FIRST_CALLS, LAST_CALLS = (
    4,
    16,
)  # of an error that are shown; what it went through is known, what it met is not
MOST_CAUSES = 4

_SECRET_KEYS = frozenset(
    {
        "access_token",
        "api_key",
        "apiaccesskey",
        "apikey",
        "authorization",
        "client_secret",
        "cookie",
        "cvv",
        "password",
        "proxy_authorization",
        "refresh_token",
        "secret",
        "set_cookie",
        "token",
        "x_clover_auth",
    }
)

_AUTHORIZATION = re.compile(
    r"(?i)\b((?:proxy-)?authorization[\"']?\s*[:=]\s*[\"']?(?:bearer|basic)?\s*)[^\s\"',;}]+"
)
_SCHEME = re.compile(r"\b([Bb]earer|BEARER|[Bb]asic)\s+(?=\S*[\d=._-])[A-Za-z0-9._~+/=-]{8,}")
_BEHIND_A_KEY = re.compile(
    r"(?i)((?:access_token|refresh_token|client_secret|api[_-]?key|apiAccessKey|x-clover-auth|password)"
    r"[\"']?\s*[:=]\s*[\"']?|\b(?:token|secret)[\"']?\s*[:=]\s*[\"']?(?=\S{8}))(?!\$\{)[^\s\"',;&}]+"
)
_CLOVER_TOKEN = re.compile(r"\b(?:clv[a-z]*[_-]|eyJ)[A-Za-z0-9._-]{4,}")
_EMAIL = re.compile(r"[A-Za-z0-9._%+'-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
# Card numbers begin with 2 to 6 and have 13 to 19 digits. Clover's times in milliseconds begin with 1.
_DIGITS = re.compile(r"(?<![\w.-])[2-6]\d{3}(?:[ -]?\d){9,15}(?![\w-])")

_known: set[str] = set()


def remember_secrets(secrets: Iterable[str]) -> None:
    """Replace these texts wherever they appear from now on. Shorter than six characters is left alone."""
    _known.update(secret for secret in secrets if len(secret) >= 6)


def redact(text: str) -> str:
    """The text with everything that must not be shown replaced by ``[hidden]``."""
    for secret in _known:
        if secret in text:
            text = text.replace(secret, HIDDEN)
    text = _AUTHORIZATION.sub(rf"\1{HIDDEN}", text)
    text = _SCHEME.sub(rf"\1 {HIDDEN}", text)
    text = _BEHIND_A_KEY.sub(rf"\1{HIDDEN}", text)
    text = _CLOVER_TOKEN.sub(HIDDEN, text)
    text = _EMAIL.sub(HIDDEN, text)
    return _DIGITS.sub(_without_card, text)


def trace(error: BaseException, *, causes: int = MOST_CAUSES) -> str:
    """The calls that led to an error and what kind it is, oldest cause first, without the values it met.

    Bounded, however deep the calls were: the first ones and the last. The words are kept where they are ours or the
    system's. Others quote what they choked on, such as a whole order with its customer's name, and a name cannot be
    told from other words.
    """
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    words = f": {error}" if isinstance(error, ConnectorError | OSError) else ""
    calls = "".join(_calls(error))
    before = ""
    if cause is not None:
        before = "(more before it)" if causes <= 1 else trace(cause, causes=causes - 1)
        before += "\nwhich led to:\n"
    return redact(f"{before}Traceback (most recent call last):\n{calls}{name}{words}")


def _calls(error: BaseException) -> list[str]:
    found = traceback.extract_tb(error.__traceback__)
    left_out = len(found) - FIRST_CALLS - LAST_CALLS
    if left_out <= 0:
        return found.format()
    first, last = found[:FIRST_CALLS], found[-LAST_CALLS:]
    return [
        *traceback.StackSummary.from_list(first).format(),
        f"  ({left_out} calls left out)\n",
        *traceback.StackSummary.from_list(last).format(),
    ]


def place(error: BaseException) -> str:
    """Where an error was raised: file and line."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return "unknown" if last is None else f"{last.tb_frame.f_code.co_filename}:{last.tb_lineno}"


def redact_value(value: Any, *, key: str = "") -> Any:
    """The same for a value of a log line: strings, and what is inside mappings and sequences."""
    if key.lower().replace("-", "_") in _SECRET_KEYS and value is not None:
        return HIDDEN
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, bytes):
        return redact(value.decode("utf-8", "replace"))
    if isinstance(value, Mapping):
        return {redact(str(k)): redact_value(v, key=str(k)) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact_value(item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return _without_card_number(value)
    return redact(str(value))


def _without_card_number(value: object) -> object:
    return HIDDEN if isinstance(value, int) and _is_card_number(str(value)) else value


def _without_card(match: re.Match[str]) -> str:
    return HIDDEN if _is_card_number(re.sub(r"[ -]", "", match[0])) else match[0]


def _is_card_number(digits: str) -> bool:
    """Whether the digits pass the check that every card number passes (ISO/IEC 7812-1, Luhn)."""
    if not 13 <= len(digits) <= 19 or digits[0] not in "23456" or not digits.isdigit():
        return False
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 if place % 2 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0

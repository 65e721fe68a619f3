"""What is said when a merchant's link led to no connection: to the merchant, and to whoever sent the link."""

from dataclasses import dataclass

from schemas.platform import DataConnectionError


@dataclass(frozen=True, slots=True)
class Told:
    """heading, text: for the merchant. again: whether beginning again may help. code: as Codat's errors count."""

    heading: str
    text: str
    again: bool = True
    code: str = "400"


REASONS = {
    "refused": Told(
        "Nothing was connected",
        "You did not agree at Clover, so nothing can be read. If that was not what you wanted, begin again.",
        code="403",
    ),
    "code": Told(
        "Clover's answer was no longer good",
        "It can be used once and only for some minutes. Nothing was connected; begin again.",
        code="401",
    ),
    "used": Told(
        "This answer was used already",
        "The page may have been opened twice, or our server was interrupted. Nothing was connected; begin again.",
        code="401",
    ),
    "late": Told(
        "That took too long",
        "Clover's answer has to arrive within ten minutes. Nothing was connected; begin again.",
        code="401",
    ),
    "clover": Told(
        "Clover could not be reached",
        "Nothing was connected. Wait some minutes, then begin again.",
        code="502",
    ),
    "merchant": Told(
        "Clover's answer names another shop",
        "The shop in the answer is not the one that agreed, or belongs to another region. Nothing was connected; begin"
        " again and choose the region of your shop.",
        code="403",
    ),
    "permission": Told(
        "The app may not read your orders",
        "Nothing was connected. Whoever sent you the link has to let their app at Clover read orders and payments;"
        " afterwards begin again.",
        code="403",
    ),
    "ecommerce": Told(
        "Your shop has no online sales at Clover",
        "Only shops with Clover's Ecommerce, in the United States and Canada, can be read. Nothing was connected.",
        again=False,
        code="404",
    ),
    "app": Told(
        "The app is not set up",
        "Nothing was connected. Whoever sent you the link has to switch on expiring tokens for their app at Clover.",
        code="500",
    ),
    "other_shop": Told(
        "That is another shop",
        "This link is for a shop that was connected before, and you chose another one. Nothing was changed; begin again"
        " and choose the same shop as then.",
        code="409",
    ),
    "at_once": Told(
        "The link was opened twice",
        "The same link is being used in another browser at this moment. Nothing was changed; begin again.",
        code="409",
    ),
    "elsewhere": Told(
        "This shop is connected already",
        "Whoever sent you the link reads it in another way; nothing has to be done.",
        again=False,
        code="409",
    ),
    "gone": Told(
        "This link cannot be used",
        "What it was for was removed, or is connected in another way. Ask whoever sent you the link.",
        again=False,
        code="404",
    ),
}
OTHERWISE = Told("It did not work", "Nothing was connected. Begin again.")


def told(reason: str | None) -> Told:
    """The words of a reason."""
    return REASONS.get(reason or "", OTHERWISE)


def link_error(reason: str | None, at: str) -> DataConnectionError:
    """The same as Codat's error of a connection. at: when, as text."""
    words = told(reason)
    return DataConnectionError(
        status_code=words.code,
        status_text=words.heading,
        error_message=words.text,
        errored_on_utc=at,
        status="Active",
    )

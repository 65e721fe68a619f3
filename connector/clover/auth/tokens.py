"""Where a request's bearer token comes from. How OAuth pairs are renewed is in ``connector.clover.auth.oauth``."""

from typing import Protocol

from connector.errors import ConfigError, Deauthorized


class TokenSource(Protocol):
    """Hands out the token to use now, and a fresh one after Clover has refused it."""

    def current(self) -> str:
        """The token to send; may renew it first when it is about to expire."""
        ...

    def refresh(self, rejected: str | None = None) -> str:
        """A token other than ``rejected``, which Clover answered with 401.

        Callers that share the source all pass the token they were refused with; it is renewed once for
        all of them. Raises Deauthorized when no other token can be had.
        """
        ...


class StaticToken:
    """A merchant's Ecommerce private key: it does not expire, so a refusal is final."""

    def __init__(self, token: str, *, connection_id: str = "") -> None:
        # Checked here, since a header that cannot be sent is quoted in the error that says so.
        self._token = token.strip()
        if (
            not self._token
            or not self._token.isascii()
            or not self._token.isprintable()
            or " " in self._token
        ):
            raise ConfigError(
                f"The token of connection {connection_id or '(unnamed)'} is empty or no token.",
                hint="Copy the private key again; it has no spaces and no letters beyond ASCII.",
            )
        self._connection_id = connection_id

    def current(self) -> str:
        return self._token

    def refresh(self, rejected: str | None = None) -> str:  # noqa: ARG002 - part of the protocol
        raise Deauthorized(
            f"Clover refuses the token of connection {self._connection_id or '(unnamed)'}.",
            status=401,
            hint="Make a new Ecommerce API token in the merchant's dashboard and set it as token.",
        )

    def __repr__(self) -> str:
        return f"StaticToken(connection_id={self._connection_id!r})"

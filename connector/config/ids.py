"""Ids for companies and connections that were given none.

They are computed from what identifies the merchant, so the same configuration gives the same ids on every
machine and on every run, and nothing has to be remembered.
"""

import uuid

# Fixed for ever: another value would give every company made so far another id.
_NAMESPACE = uuid.UUID("6d7c6d3e-4a0b-5a52-9a7e-0f6f2f5b8c11")


def connection_id(environment: str, merchant_id: str) -> str:
    """The id of the connection to one merchant of one Clover environment, a UUID as text."""
    return str(uuid.uuid5(_NAMESPACE, f"connection:{environment}:{merchant_id}"))


def company_id(first_connection_id: str) -> str:
    """The id of a company, from the id of its first connection; further connections do not move it."""
    return str(uuid.uuid5(_NAMESPACE, f"company:{first_connection_id}"))

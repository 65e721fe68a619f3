"""Talks HTTP to Clover: listing, reading by id, retries, pacing, tokens, the raw archive."""

from connector.clover.archive import ArchivedPage, RawArchive, read_archive
from connector.clover.auth.credentials import EncryptedCredentials, ensure_key_file, load_keys
from connector.clover.auth.oauth import OAuthToken
from connector.clover.auth.tokens import StaticToken, TokenSource
from connector.clover.hosts import Hosts, hosts_for
from connector.clover.http.client import CloverClient, Limits, RequestMeter
from connector.clover.http.pacing import AppPacer, Pacer
from connector.clover.http.retry import RetryPolicy
from connector.clover.lists.by_id import Read, read_many, read_one, refunds_of_charge
from connector.clover.lists.pages import Page, walk
from connector.clover.lists.streams import CHARGES, ORDERS, REFUNDS, STREAMS, Stream, is_sparse
from connector.clover.lists.window import Window

__all__ = [
    "CHARGES",
    "ORDERS",
    "REFUNDS",
    "STREAMS",
    "AppPacer",
    "ArchivedPage",
    "CloverClient",
    "EncryptedCredentials",
    "Hosts",
    "Limits",
    "OAuthToken",
    "Pacer",
    "Page",
    "RawArchive",
    "Read",
    "RequestMeter",
    "RetryPolicy",
    "StaticToken",
    "Stream",
    "TokenSource",
    "Window",
    "ensure_key_file",
    "hosts_for",
    "is_sparse",
    "load_keys",
    "read_archive",
    "read_many",
    "read_one",
    "refunds_of_charge",
    "walk",
]

"""Unpacks and gathers the body of an answer piece by piece, so that a small body cannot fill the memory."""

import zlib
from collections.abc import Iterable, Iterator, Sequence

import httpx

CODINGS = ("gzip", "x-gzip", "deflate")
_PIECE = 64 << 10  # bytes of one unpacked piece


def codings_of(headers: Sequence[tuple[bytes, bytes]]) -> list[str]:
    """The content codings of an answer in the order they were applied, ``identity`` left out (RFC 9110, 8.4)."""
    named = b",".join(value for name, value in headers if name.lower() == b"content-encoding")
    codings = (coding.strip().lower() for coding in named.decode("latin-1").split(","))
    return [coding for coding in codings if coding not in ("", "identity")]


def inflated(packed: Iterable[bytes], coding: str) -> Iterator[bytes]:
    """The unpacked body in pieces of at most 64 KiB; what follows the end of the packed data is ignored.

    Raises httpx.DecodingError for damaged data and for data that ends too early.
    """
    unpack = None
    for data in packed:
        if unpack is None and data:
            unpack = zlib.decompressobj(_window_bits(coding, data[0]))
        while unpack is not None and data and not unpack.eof:
            try:
                piece = unpack.decompress(data, _PIECE)
            except zlib.error:
                raise httpx.DecodingError("the body is not what its coding says") from None
            data = unpack.unconsumed_tail
            if piece:
                yield piece
    while unpack is not None and not unpack.eof:
        try:
            piece = unpack.decompress(b"", _PIECE)
        except zlib.error:
            raise httpx.DecodingError("the body is not what its coding says") from None
        if not piece:
            raise httpx.DecodingError("the packed body ends too early")
        yield piece


def gathered(pieces: Iterable[bytes], most_bytes: int) -> bytes | None:
    """The whole body, None as soon as it is larger than ``most_bytes``; the rest is then not read."""
    body = bytearray()
    for piece in pieces:
        body += piece
        if len(body) > most_bytes:
            return None
    return bytes(body)


def _window_bits(coding: str, first: int) -> int:
    if coding != "deflate":
        return zlib.MAX_WBITS | 16
    # "deflate" should come with zlib's header, and from some servers comes without it (RFC 9110, 8.4.1.2).
    return zlib.MAX_WBITS if first & 0x0F == 8 else -zlib.MAX_WBITS

"""Posts to addresses that others chose: to the public internet, or to the networks that the configuration names.

A name is resolved here, every address it has is checked, and the connection goes to one of these very addresses: what
the name leads to a moment later does not matter. TLS still verifies the name. Redirects are not followed, proxies of
the environment not used, and nothing of the answer is read but its status.
"""

import ipaddress
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import httpx

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# Networks as text, such as 10.0.7.0/24, that may be reached although they are not of the public internet.
Networks = Sequence[str]
# IPv6 addresses that lead to the IPv4 address in their last 32 bits (RFC 6052; RFC 4291, 2.5.5.1).
_HOLD_IPV4 = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("::/96"))
_CURE = "Use an address of the public internet, or name its network in the config's private_networks."


class NotPublicError(httpx.RequestError):
    """An address that may not be reached; nothing was sent."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a post brought. status: None without an answer. error: in words, without the address; None is taken."""

    status: int | None
    error: str | None


def attempt(post: Callable[[], int]) -> Attempt:
    """Post once; every failure in words that hold nothing of the address, for its path may be a secret."""
    try:
        status = post()
    except NotPublicError:
        return Attempt(None, "points into a private network")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Attempt(None, type(error).__name__)
    return Attempt(status, None if 200 <= status < 300 else f"answered {status}")


def post(client: httpx.Client, url: str, body: bytes, headers: Mapping[str, str], *, seconds: float) -> int:
    """The status of the answer, whose body is not read. Raises httpx.HTTPError; NotPublicError before it sends."""
    with client.stream("POST", url, content=body, headers=dict(headers), timeout=seconds) as answer:
        return answer.status_code


def reach(url: str, networks: Networks, *, seconds: float) -> Attempt:
    """Whether an address answers at all, without telling it anything: any status is an answer."""

    def ask() -> int:
        with outbound_client(networks) as client:
            return client.head(url, timeout=seconds).status_code

    tried = attempt(ask)
    return Attempt(tried.status, tried.error if tried.status is None else None)


def outbound_client(networks: Networks) -> httpx.Client:
    """A client that reaches only what it may."""
    return httpx.Client(transport=PinnedTransport(networks), follow_redirects=False)


class PinnedTransport(httpx.BaseTransport):
    """Connects to the addresses that were checked, one after the other until one answers."""

    def __init__(self, networks: Networks, inner: httpx.BaseTransport | None = None) -> None:
        self._networks = networks
        # A connection kept open would be used again for another name with the same address, whose certificate
        # nobody has looked at.
        self._inner = inner or httpx.HTTPTransport(limits=httpx.Limits(max_keepalive_connections=0))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        host = request.url.raw_host.decode("ascii")
        failed: httpx.TransportError | None = None
        for address in addresses_of(host, self._networks):
            pinned = httpx.Request(
                request.method,
                request.url.copy_with(host=str(address)),
                headers=request.headers,  # Host among them: the name
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": host},
            )
            try:
                return self._inner.handle_request(pinned)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failed = error
        raise failed or httpx.ConnectError("The name has no address.")

    def close(self) -> None:
        self._inner.close()


def addresses_of(host: str, networks: Networks) -> list[Address]:
    """Every address of a host. Raises NotPublicError when one of them may not be reached, ConnectError for none."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpx.ConnectError("The name has no address.") from error
    addresses = list(dict.fromkeys(ipaddress.ip_address(entry[4][0]) for entry in found))
    for address in addresses:
        if not is_allowed(address, networks):
            raise NotPublicError(f"It leads to {address}, which is not of the public internet. {_CURE}")
    return addresses


def is_allowed(address: Address, networks: Networks) -> bool:
    """Whether an address may be reached. Addresses that hold another one are judged by that."""
    held = _held_ipv4(address)
    if held is not None:
        return is_allowed(held, networks)
    if any(address in ipaddress.ip_network(network) for network in networks):
        return True
    is_site_local = isinstance(address, ipaddress.IPv6Address) and address.is_site_local  # global to Python
    return address.is_global and not address.is_multicast and not address.is_reserved and not is_site_local


def written_address(host: str) -> Address | None:
    """The address of a host that is written as a number in any way a system reads: 127.1, 0x7f.1, 2130706433, ::1.

    None for a name. Asks no name server.
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return None
    return ipaddress.ip_address(found[0][4][0])


def refusal(host: str, networks: Networks) -> str | None:
    """Why a host cannot be an endpoint, as far as its text says; what a name leads to is looked at when it is used."""
    bare = host.rstrip(".").lower()
    if bare == "localhost" or bare.endswith(".localhost"):
        address: Address | None = ipaddress.ip_address("127.0.0.1")
    else:
        address = written_address(host)
    if address is None or is_allowed(address, networks):
        return None
    return f"must not point into a private network. {_CURE}"


def _held_ipv4(address: Address) -> ipaddress.IPv4Address | None:
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if not address.is_loopback and not address.is_unspecified and any(address in net for net in _HOLD_IPV4):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None

"""Where a webhook may go: defence against server-side request forgery.

A name is resolved once, every address that it has is judged, and the connection goes to the
address that was judged: a name that changes its answer in between gains nothing.
"""

import asyncio
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final
from urllib.parse import SplitResult, urlsplit

from handoff_kit.errors import FieldError, Invalid

Address = IPv4Address | IPv6Address

LONGEST_URL: Final = 2000
# The IPv6 network that leads to an IPv4 address in its last bits (RFC 6052), and the one of which
# each network decides by itself where they are (RFC 8215).
_NAT64: Final = ip_network("64:ff9b::/96")
_LOCAL_NAT64: Final = ip_network("64:ff9b:1::/48")
_LOCAL_NAMES: Final = ("localhost", ".localhost", ".local", ".internal", ".home.arpa")


class AddressRefused(Exception):
    """The name leads to an address inside a private network."""


class NotResolved(Exception):
    """The name has no address."""


def is_public(address: Address) -> bool:
    """Whether an address is of the public internet, also by what is embedded in it."""
    if isinstance(address, IPv6Address):
        inner = _embedded(address)
        if inner is not None:
            return is_public(inner)
        if address.is_site_local or address in _LOCAL_NAT64:
            return False
    return address.is_global and not (
        address.is_multicast or address.is_reserved or address.is_unspecified
    )


def _embedded(address: IPv6Address) -> IPv4Address | None:
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    # IPv4-compatible (RFC 4291, 2.5.5.1, deprecated); :: and ::1 are judged as they are.
    if int(address) >> 32 == 0 and int(address) > 0xFFFF:
        return IPv4Address(int(address))
    return None


async def resolve(host: str, port: int, *, allow_private: bool) -> str:
    """The one address to connect to. Raises AddressRefused, NotResolved."""
    literal = as_literal(host)
    if literal is not None:
        found = [literal]
    else:
        try:
            answers = await asyncio.get_running_loop().getaddrinfo(
                host, port, type=socket.SOCK_STREAM
            )
        except (OSError, UnicodeError) as error:
            raise NotResolved from error
        # A scope (fe80::1%eth0) is no part of the address.
        found = [ip_address(str(answer[4][0]).split("%", 1)[0]) for answer in answers]
    if not found:
        raise NotResolved
    if not allow_private and not all(is_public(address) for address in found):
        raise AddressRefused
    return str(found[0])


def as_literal(host: str) -> Address | None:
    """The address that a host is written as, or None where it is a name.

    Also the old ways to write one that resolvers still take (``0x7f.1``, ``2130706433``).
    """
    try:
        return ip_address(host.strip("[]"))
    except ValueError:
        pass
    if (host and host[-1].isdigit()) or host.lower().startswith("0x"):
        try:
            return IPv4Address(socket.inet_aton(host))
        except (OSError, UnicodeError, ValueError):
            return None
    return None


def check_url(url: str, *, allow_private: bool) -> str:
    """The URL of a webhook, as it may be stored. Raises Invalid, naming the field ``url``.

    https always; http and private addresses only with *allow_private*.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise _invalid("invalid-url", "This is no URL.") from None
    if len(url) > LONGEST_URL or any(c <= " " or ord(c) > 126 for c in url) or not host:
        raise _invalid("invalid-url", "An absolute URL of ASCII characters is needed.")
    if parts.scheme != "https" and not (allow_private and parts.scheme == "http"):
        raise _invalid("https-needed", "A webhook's URL has to begin with https://.")
    if port == 0:
        raise _invalid("invalid-url", "Port 0 cannot be connected to.")
    return _check_host(parts, host.rstrip("."), url, allow_private=allow_private)


def _check_host(parts: SplitResult, host: str, url: str, *, allow_private: bool) -> str:
    if parts.username is not None or parts.password is not None:
        raise _invalid("credentials-in-url", "A URL with a user or a password is not taken.")
    if parts.fragment:
        raise _invalid("invalid-url", "A URL with a fragment is not taken.")
    if allow_private:
        return url
    literal = as_literal(host)
    local = any(host == name or host.endswith(name) for name in _LOCAL_NAMES)
    if local or (literal is not None and not is_public(literal)):
        raise _invalid("private-address", "This address is not on the public internet.")
    return url


def _invalid(code: str, message: str) -> Invalid:
    return Invalid(errors=[FieldError("url", code, message)])

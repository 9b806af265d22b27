"""Whose address a request comes from, and what failures are counted against."""

import re
from collections.abc import Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final

Address = IPv4Address | IPv6Address
Networks = tuple[IPv4Network | IPv6Network, ...]

_PREFIX: Final = 64  # What one IPv6 customer has at least; any address in it is theirs.


def networks(text: str) -> Networks:
    """Addresses and networks, with commas or spaces between them, such as ``10.0.0.5, fd00::/8``.

    Raises: ValueError, naming the first that is none.
    """
    found = []
    for part in filter(None, re.split(r"[,\s]+", text)):
        try:
            found.append(ip_network(part))
        except ValueError:
            raise ValueError(
                f"'{part}' is no address and no network, such as 10.0.0.5 or 10.0.0.0/24"
            ) from None
    return tuple(found)


def client_address(peer: str, forwarded: Sequence[str], trusted: Networks) -> str:
    """The address of who asks: *peer*, or what a proxy in *trusted* says of who asked it.

    *forwarded*: the X-Forwarded-For headers as they came. Each proxy writes the address of its
    own peer at the right end, so they are read from there for as long as the address to the right
    is a trusted proxy's; what stands further left anybody can have written. What is no address
    ends the reading too, and the proxy that wrote it stands for whoever it was.
    """
    nearest = _address(peer)
    if nearest is None or not trusted:
        return peer
    for said in reversed([part for line in forwarded for part in line.split(",")]):
        if not any(nearest in network for network in trusted):
            break
        found = _address(said)
        if found is None:
            break
        nearest = found
    return str(nearest)


def counted_as(address: str) -> str:
    """What failures from *address* are counted against: itself, or its /64 for IPv6."""
    found = _address(address)
    if isinstance(found, IPv6Address):
        return str(ip_network((int(found), _PREFIX), strict=False))
    return address if found is None else str(found)


def _address(text: str) -> Address | None:
    """*text* without a port, and as IPv4 where IPv6 only wraps it; None for no address."""
    bare = text.strip()
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        found = ip_address(bare)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found

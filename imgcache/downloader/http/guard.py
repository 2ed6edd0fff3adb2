"""Decides which addresses may be connected to. Pure.

The lists are the IANA special-purpose registries (RFC 6890; iana-ipv4-special-registry, iana-ipv6-special-registry,
read 2026), written out instead of `ipaddress.is_global`, which changes with the patch level of Python. Addresses that
the lists do not name as global are not public. Limit: an operator's own NAT64 prefix (RFC 6052, section 3.1) looks like
any other IPv6 address and cannot be unwrapped.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from imgcache.core import BlockedAddress, ConfigError, clean_text

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

NOT_PUBLIC_V4 = tuple(
    ipaddress.IPv4Network(block)
    for block in (
        "0.0.0.0/8",  # this network (RFC 791)
        "10.0.0.0/8",  # private (RFC 1918)
        "100.64.0.0/10",  # carrier-grade NAT (RFC 6598)
        "127.0.0.0/8",  # loopback (RFC 1122)
        "168.63.129.16/32",  # the platform channel of every Azure machine: public by number only
        "169.254.0.0/16",  # link-local, and the clouds' metadata (RFC 3927)
        "172.16.0.0/12",  # private (RFC 1918)
        "192.0.0.0/24",  # IETF protocol assignments (RFC 6890)
        "192.0.2.0/24",  # documentation (RFC 5737)
        "192.31.196.0/24",  # AS112 (RFC 7535)
        "192.52.193.0/24",  # AMT (RFC 7450)
        "192.88.99.0/24",  # 6to4 relay anycast (RFC 7526)
        "192.168.0.0/16",  # private (RFC 1918)
        "192.175.48.0/24",  # AS112 (RFC 7534)
        "198.18.0.0/15",  # benchmarking (RFC 2544)
        "198.51.100.0/24",  # documentation (RFC 5737)
        "203.0.113.0/24",  # documentation (RFC 5737)
        "224.0.0.0/4",  # multicast (RFC 1112)
        "240.0.0.0/4",  # reserved, and the broadcast address (RFC 1112, RFC 919)
    )
)
# Only 2000::/3 is handed out as global unicast (RFC 3513, section 4). Loopback, unspecified, ULA, link-local,
# site-local, multicast, discard (100::/64), SRv6 (5f00::/16), IPv4-compatible (::/96), IPv4-translated
# (::ffff:0:0:0/96) and local-use NAT64 (64:ff9b:1::/48, RFC 8215) lie outside and need no line here.
GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
NOT_PUBLIC_V6 = tuple(
    ipaddress.IPv6Network(block)
    for block in (
        "2001::/23",  # IETF protocol assignments: benchmarking, ORCHID, ORCHIDv2, drone IDs (RFC 2928)
        "2001:db8::/32",  # documentation (RFC 3849)
        "2002::/16",  # 6to4 (RFC 3056): decided by the embedded IPv4 address
        "2620:4f:8000::/48",  # AS112 (RFC 7534)
        "3fff::/20",  # documentation (RFC 9637)
    )
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052
_ISATAP = frozenset({0x00005EFE, 0x02005EFE})  # RFC 5214, section 6.1


def is_public(address: IPAddress) -> bool:
    """Return whether `address`, and every IPv4 address that is embedded in it, is global."""
    return all(_is_global(part) for part in stands_for(address))


def stands_for(address: IPAddress) -> tuple[IPAddress, ...]:
    """Return the addresses that a packet to `address` reaches or passes: itself, or those that are embedded in it.

    IPv4-mapped (RFC 4291, section 2.5.5.2), NAT64 (RFC 6052), 6to4 (RFC 3056), Teredo with server and client (RFC 4380,
    section 4), ISATAP (RFC 5214, section 6.1).
    """
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    low = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    found: tuple[IPAddress, ...] = (address,)
    if address.ipv4_mapped is not None or address in _NAT64:
        found = (low,)
    elif address.sixtofour is not None:
        found = (address.sixtofour,)
    elif address.teredo is not None:
        found = address.teredo
    elif (int(address) >> 32) & 0xFFFF_FFFF in _ISATAP:
        found = (address, low)
    return found


def _is_global(address: IPAddress) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in block for block in NOT_PUBLIC_V4)
    return address in GLOBAL_V6 and not any(address in block for block in NOT_PUBLIC_V6)


class Guard:
    """Allows public addresses, and those in `allow_networks` (CIDR blocks such as `10.1.0.0/16`)."""

    def __init__(self, allow_networks: Iterable[str | IPNetwork] = ()) -> None:
        self.allow_networks = tuple(_network(block) for block in allow_networks)

    def allows(self, address: str | IPAddress) -> bool:
        """Return whether this address may be connected to; False for a text that is no address."""
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:
            return False
        return self._is_allowed(ip) or all(_is_global(part) or self._is_allowed(part) for part in stands_for(ip))

    def check(self, address: str | IPAddress, host: str) -> None:
        """Raise BlockedAddress if `address`, which belongs to `host`, may not be connected to."""
        if not self.allows(address):
            raise blocked(host, str(address))

    def _is_allowed(self, ip: IPAddress) -> bool:
        return any(ip in block for block in self.allow_networks)


def blocked(host: str, address: str) -> BlockedAddress:
    """Return the error that names what was refused and how the operator can allow it."""
    found = "" if host == address else f" has the address {clean_text(address, 60)}, which"
    try:
        how = f'write `allow_networks: ["{ipaddress.ip_network(address)}"]` into imgcache.yml'
    except ValueError:  # with a zone, or no address
        how = "name its network in allow_networks"
    return BlockedAddress(f"{clean_text(host, 80)}{found} is not public; if it is yours, {how}")


def _network(block: str | IPNetwork) -> IPNetwork:
    if not isinstance(block, str):
        return block
    try:
        return ipaddress.ip_network(block)
    except ValueError as error:
        raise ConfigError(
            f"{clean_text(block, 60)} is not a CIDR block ({clean_text(str(error))}); write 10.1.0.0/16 or fd12::/32",
            where="allow_networks",
        ) from None

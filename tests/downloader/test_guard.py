"""Addresses: what is public, on paper and at the socket."""

from __future__ import annotations

import asyncio
import ipaddress
import pathlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcache.core import BlockedAddress, ConfigError, ConnectFailure
from imgcache.downloader import ConnectTo, Guard
from imgcache.downloader.http.guard import is_public
from tests.support.faults import faults
from tests.support.network import Names, downloader, outcome

NOT_PUBLIC = """
    0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.127.255.255 100.100.100.200 127.0.0.1 127.255.255.254 168.63.129.16
    169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1
    198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
    :: ::1 ::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:0:8.8.8.8 64:ff9b::10.0.0.1
    64:ff9b:1::1 64:ff9b:1::10.0.0.1 64:ff9b:1:a00:0:100:: 100::1 2001::1 2001:2::1 2001:10::1 2001:20::1 2001:db8::1
    2002:7f00:1::1 2002:a00:1:: 2002:c0a8:101::1 2001:0:a00:1:0:0:f7f7:f7f7 2001:0:808:808:0:0:80ff:fffe
    2606:4700::5efe:10.0.0.1 2606:4700::200:5efe:127.0.0.1 fe80::5efe:8.8.8.8 3fff::1 5f00::1 fc00::1 fd00:ec2::254
    fe80::1 fec0::1 ff02::1 4000::1
"""
PUBLIC = """
    1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 172.15.255.255 172.32.0.0
    192.0.1.0 192.167.255.255 198.17.255.255 198.20.0.0 223.255.255.255 ::ffff:8.8.8.8 64:ff9b::8.8.8.8
    2002:808:808::1 2001:0:808:808:0:0:f7f7:f7f7 2606:4700::1111 2a00:1450:4001::200e 2606:4700::5efe:8.8.8.8
"""


@pytest.mark.parametrize("address", NOT_PUBLIC.split())
def test_a_non_public_address_is_refused(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PUBLIC.split())
def test_a_public_address_is_allowed(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@given(st.ip_addresses(v=4))
def test_ipv4_is_never_less_strict_than_the_standard_library(address: ipaddress.IPv4Address) -> None:
    if is_public(address):
        assert address.is_global
        assert not address.is_multicast


@given(st.ip_addresses(v=6))
def test_ipv6_is_never_less_strict_than_the_standard_library(address: ipaddress.IPv6Address) -> None:
    nat64 = address in ipaddress.ip_network("64:ff9b::/96")
    if is_public(address) and not address.ipv4_mapped and not nat64:
        assert address in ipaddress.ip_network("2000::/3")
        assert address.sixtofour or address.teredo or address.is_global


@given(st.ip_addresses(v=4))
def test_an_embedded_ipv4_address_is_checked(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    forms = [(0xFFFF << 32) | number, (0x64FF9B << 96) | number, (0x2002 << 112) | number << 80]
    assert [is_public(ipaddress.IPv6Address(form)) for form in forms] == [is_public(address)] * 3


def test_only_the_networks_that_the_operator_names_are_allowed() -> None:
    guard = Guard(["10.1.0.0/16", "fd12::/32"])
    assert guard.allows("10.1.2.3")
    assert guard.allows("::ffff:10.1.2.3")
    assert guard.allows("fd12::1")
    assert guard.allows("8.8.8.8")
    assert not guard.allows("10.2.0.1")
    assert not guard.allows("127.0.0.1")
    assert not guard.allows("fd13::1")
    assert not guard.allows("example.org")


@pytest.mark.parametrize("block", ["10.0.0.1/8", "10.0.0.0/33", "intranet", ""])
def test_an_invalid_network_is_a_config_error(block: str) -> None:
    with pytest.raises(ConfigError, match="allow_networks"):
        Guard([block])


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("a.org:443:127.0.0.1:8443", ConnectTo("a.org", 443, "127.0.0.1", 8443)),
        ("::localhost:80", ConnectTo(None, None, "localhost", 80)),
        ("A.org:::", ConnectTo("a.org", None, None, None)),
        ("[::1]:80:[2001:db8::1]:81", ConnectTo("::1", 80, "2001:db8::1", 81)),
    ],
)
def test_connect_to_accepts_the_syntax_of_curl(text: str, rule: ConnectTo) -> None:
    assert ConnectTo.parse(text) == rule


@pytest.mark.parametrize("text", ["", "a:1:b", "a:1:b:2:3", "::1:80:b:1", "a:0:b:1", "a:1:b:65536", "a:x:b:1"])
def test_connect_to_refuses_invalid_rules(text: str) -> None:
    with pytest.raises(ConfigError, match="--connect-to"):
        ConnectTo.parse(text)


@pytest.mark.parametrize(
    "host",
    [
        *(
            "127.0.0.1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "localhost",
            "LOCALHOST",
            "localhost.",
            "１２７.０.０.１",
            "[::]",
        ),
        *("0.0.0.0", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "169.254.169.254", "127.0.0.1.", "[::7f00:1]"),
    ],
)
def test_no_spelling_of_a_local_address_reaches_this_machine(tmp_path: pathlib.Path, host: str) -> None:
    async def scene() -> None:
        async with faults() as origin, downloader(tmp_path, guard=Guard()) as fetching:
            assert await outcome(fetching, origin.url("/good", host)) in {"blocked-address", "bad-url"}
            assert origin.connections == 0

    asyncio.run(scene())


def test_a_redirect_to_a_private_address_is_refused(tmp_path: pathlib.Path) -> None:
    async def scene() -> None:
        async with faults() as origin:
            rule = ConnectTo.parse(f"pub.org:80:127.0.0.1:{origin.port}")
            async with downloader(tmp_path, guard=Guard(), connect_to=[rule]) as fetching:
                assert await outcome(fetching, "http://pub.org/good") == "ok"
                for target in (
                    origin.url("/good"),
                    "http://localhost/",
                    "http://[::1]/",
                    "http://169.254.169.254/meta",
                ):
                    assert await outcome(fetching, f"http://pub.org/to?{target}") == "blocked-address"
            assert origin.counts["/good"] == 1

    asyncio.run(scene())


def test_a_name_with_a_public_and_a_private_address_uses_the_public_one(tmp_path: pathlib.Path) -> None:
    async def scene() -> None:
        names = Names(both_org=[["10.9.9.9", "127.0.0.1", "192.168.0.1"]])
        async with faults() as origin, downloader(tmp_path, guard=Guard(["127.0.0.0/8"]), names=names) as fetching:
            assert await outcome(fetching, origin.url("/good", "both.org")) == "ok"

    asyncio.run(scene())


def test_the_private_address_is_not_used_if_the_public_one_fails(tmp_path: pathlib.Path) -> None:
    async def scene() -> str:
        names = Names(both_org=[["127.0.0.1", "10.9.9.9"]])
        async with downloader(tmp_path, guard=Guard(["127.0.0.0/8"]), names=names) as fetching:
            with pytest.raises(ConnectFailure) as caught:
                await fetching.fetch("http://both.org:1/x.png")
        return caught.value.message

    assert asyncio.run(scene()) == "both.org: no connection: Connect call failed ('127.0.0.1', 1)"


def test_a_name_that_turns_private_is_refused_at_the_socket(tmp_path: pathlib.Path) -> None:
    """DNS rebinding: the second answer is checked as the first was, and the old connection is not needed for it."""

    async def scene() -> None:
        async with faults() as origin, faults(host="127.0.0.2") as victim:
            names = Names(evil_org=[["127.0.0.1"], ["127.0.0.2"], ["127.0.0.2", "::1"]])
            async with downloader(tmp_path, guard=Guard(["127.0.0.1/32"]), names=names) as fetching:
                assert await outcome(fetching, origin.url("/good", "evil.org")) == "ok"
                assert await outcome(fetching, victim.url("/good", "evil.org")) == "blocked-address"
                assert await outcome(fetching, f"http://evil.org:{victim.port + 1}/good") == "blocked-address"
            assert names.asked == 3
            assert victim.connections == 0

    asyncio.run(scene())


def test_connect_to_allows_its_target_for_its_own_urls_only(tmp_path: pathlib.Path) -> None:
    async def scene() -> None:
        async with faults() as origin:
            rules = [f"a.org:80:127.0.0.1:{origin.port}", f"9.9.9.9:80:localhost:{origin.port}"]
            targets = [ConnectTo.parse(rule) for rule in rules]
            async with downloader(tmp_path, guard=Guard(), connect_to=targets) as fetching:
                assert await outcome(fetching, "http://a.org/good?x=%2F%7E") == "ok"
                assert await outcome(fetching, "http://9.9.9.9/good") == "ok"
                assert b"GET /good?x=%2F%7E HTTP/1.1\r\nHost: a.org\r\n" in origin.requests[0]
                assert b"\r\nHost: 9.9.9.9\r\n" in origin.requests[1]
                # an idle connection to the very same place is there, and must not be lent
                assert await outcome(fetching, origin.url("/good")) == "blocked-address"
                assert await outcome(fetching, origin.url("/good", "localhost")) == "blocked-address"
            assert origin.counts["/good"] == 2

    asyncio.run(scene())


def test_the_error_of_a_blocked_address_says_how_to_allow_it(tmp_path: pathlib.Path) -> None:
    async def scene() -> str:
        async with downloader(tmp_path, guard=Guard(), names=Names(in_org=[["10.0.0.8"]])) as fetching:
            with pytest.raises(BlockedAddress) as caught:
                await fetching.fetch("http://in.org/x.png")
        return caught.value.message

    message = asyncio.run(scene())
    assert "in.org has the address 10.0.0.8" in message
    assert 'write `allow_networks: ["10.0.0.8/32"]` into imgcache.yml' in message

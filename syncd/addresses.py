"""Which addresses may be called: the public internet by https, this machine, and what the operator allowed. Pure.

Names are judged here by their spelling only; ``syncd.http`` judges the addresses that they lead to when it connects.
"""

import ipaddress
import re

import httpx

from syncd.connector import is_local
from syncd.errors import ConfigInvalid


def check_url(base_url: str, *, allow_private: bool = False) -> None:
    """Raise ``ConfigInvalid`` unless this address may be called: https and public, or on this machine, or allowed."""
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL as error:
        # httpx's own words may quote a part of the address, and that may be a password.
        raise ConfigInvalid("base_url is no proper address") from error
    if mistake := _mistake(url, allow_private=allow_private):
        raise ConfigInvalid(f"base_url {mistake}")


def _mistake(url: httpx.URL, *, allow_private: bool) -> str | None:
    if url.scheme not in ("http", "https") or not url.host:
        return "must begin with https:// and name a host"
    if url.port is not None and not 0 < url.port < 65536:
        return "names no proper port"
    if url.userinfo or url.query or url.fragment:
        return "must hold no user, password, query or fragment"
    if not re.fullmatch(r"[a-z0-9._-]+|[0-9a-f:.]+", url.raw_host.decode("ascii", "replace").lower()):
        return "names no proper host"
    return None if allow_private or is_local(url.host) else _not_public(url)


def _not_public(url: httpx.URL) -> str | None:
    if url.scheme != "https":
        return "must begin with https:// (http only on this machine, or with allow_private = true)"
    if _is_address(url.host) and not is_public(url.host):
        return "is a private address; write allow_private = true if that is meant"
    if not _is_address(url.host) and re.search(r"(^|\.)(0x[0-9a-f]*|[0-9]+)\.?$", url.host):
        return "hides an address in an odd number; write it as four decimal numbers"
    return None


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet, also where it wraps an IPv4 address."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    wrapped = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())] if isinstance(ip, ipaddress.IPv6Address) else []
    if ip in _NAT64:
        wrapped.append(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))
    return all(one.is_global and not one.is_multicast for one in (ip, *wrapped) if one is not None)

"""Which addresses may be called: the public internet by https, this machine, and what the operator allowed. Pure.

One rule for the configuration and for the road out: names are judged by their spelling in both, and ``syncd.http``
judges the addresses that a name leads to by the same ``is_public`` when it connects. Which addresses are public follows
the special-purpose registries of IANA (RFC 6890) as Python's ``ipaddress`` knows them; host names follow the cases of
stripe/smokescreen's tests.
"""

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

import httpx

from syncd.connector import is_local
from syncd.errors import ConfigInvalid

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.IGNORECASE)
_PRIVATE_ENDINGS = (".local", ".localhost", ".localdomain", ".internal", ".intranet", ".lan", ".home.arpa")
# How a network without IPv4 tells the public IPv4 addresses (RFC 6052): names lead to these there, and what is inside
# is judged.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# All other forms of IPv6 that carry an address of IPv4: compatible, mapped, translated, NAT64 within one network
# (RFC 8215), Teredo, 6to4. No public system is reached by one, and what is inside may be private.
_CARRIERS = tuple(
    map(
        ipaddress.IPv6Network,
        ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b:1::/48", "2001::/32", "2002::/16"),
    )
)
_ISATAP = (0x00005EFE, 0x02005EFE)  # the middle of an address whose end is one of IPv4, under any prefix (RFC 5214)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def check_url(base_url: str, *, allow_private: bool = False) -> None:
    """Raise ``ConfigInvalid`` unless this address may be called: https and public, or on this machine, or allowed."""
    if mistake := address_mistake(base_url, allow_private=allow_private):
        raise ConfigInvalid(f"base_url {mistake}")


def address_mistake(url: str, *, allow_private: bool) -> str | None:
    """What is wrong with a system's address, in a sentence that does not show it; None: nothing."""
    if not url.isascii() or not url.isprintable() or any(sign in url for sign in ' \\<>"{}|^`'):
        return "holds a character that no address has; write a name with other letters in its xn-- form"
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("https", "http") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address:
        return 'is not an address; write for example "https://api.example.com"'
    return _form_mistake(url, parts) or reach_mistake(parts.scheme, parts.hostname or "", allow_private=allow_private)


def _form_mistake(url: str, parts: SplitResult) -> str | None:
    if "@" in parts.netloc:
        return "must not hold a name or password; use the token"
    if "?" in url or "#" in url:
        return "must end before any ? or #"
    if not _is_host(parts.hostname or "", in_brackets="[" in parts.netloc) or not _is_read_alike(url, parts):
        return "must name a host, or an address in its usual form"
    return None


def _is_read_alike(url: str, parts: SplitResult) -> bool:
    """Whether who connects reads the same host and port as was judged here."""
    try:
        read = httpx.URL(url)
    except httpx.InvalidURL:
        return False
    default = {"https": 443, "http": 80}[parts.scheme]
    return (read.raw_host.decode("ascii"), read.port or default) == (parts.hostname, parts.port or default)


def reach_mistake(scheme: str, host: str, *, allow_private: bool) -> str | None:
    """Why an address of this scheme and host may not be called, in words that follow its name; None: it may."""
    if scheme in {"http", "https"} and (allow_private or is_local(host)):
        return None
    if scheme != "https":
        return "must begin with https:// (http only on loopback, or with allow_private = true)"
    address = _address(host)
    if not (is_public(host) if address is not None else _is_public_name(host)):
        return "leads into a private network; if that is meant, set allow_private = true"
    return None


def _is_host(host: str, *, in_brackets: bool) -> bool:
    address = _address(host)
    if in_brackets or address is not None:
        return in_brackets == isinstance(address, ipaddress.IPv6Address) and "%" not in host
    labels = host.removesuffix(".").split(".")
    # A last label that begins with a digit is read as an address in odd forms (octal, hexadecimal, one number).
    return all(map(_LABEL.fullmatch, labels)) and not labels[-1][0].isdigit() and len(host) <= 253


def _address(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_public_name(host: str) -> bool:
    """Whether a host name can be meant for the whole world, as far as its form tells."""
    name = host.removesuffix(".").lower()
    return "." in name and not name.endswith(_PRIVATE_ENDINGS)


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet."""
    ip: Address = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip in _NAT64:
            ip = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        elif any(ip in network for network in _CARRIERS) or (int(ip) >> 32) & 0xFFFFFFFF in _ISATAP:
            return False
    return ip.is_global and not ip.is_multicast

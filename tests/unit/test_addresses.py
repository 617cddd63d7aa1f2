"""Which addresses may be called: one rule for the configuration and for who connects."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.addresses import address_mistake, check_url, is_public
from syncd.errors import ConfigInvalid

# One for each form of IPv6 that carries an address of IPv4, public or not.
CARRIERS = [
    *("::127.0.0.1", "::8.8.8.8", "::ffff:10.0.0.1", "::ffff:8.8.8.8", "::ffff:0:10.0.0.1", "::ffff:0:8.8.8.8"),
    *("64:ff9b:1::a00:1", "64:ff9b:1:2:3::808:808", "2002:a00:1::", "2002:808:808::1", "2002:7f00:1::1"),
    *("2001::1", "2001:0:a00:1::1", "2001:0:808:808:0:0:f7f7:f7f7"),
    *("2606:4700::5efe:a00:1", "2606:4700::200:5efe:10.0.0.1", "2606:4700::5efe:8.8.8.8"),
]
PUBLIC = [
    "https://api.example.com",
    "https://API.Example.com:8443/v1/",
    "https://8.8.8.8",
    "https://[2606:4700:4700::1111]/api",
    "https://xn--bcher-kva.example.com",
    "https://api.example.com.",
    "https://a_b.example.com",
    "https://[64:ff9b::8.8.8.8]",
]
LOOPBACK = [
    "http://127.0.0.1:9101",
    "http://localhost:9101",
    "http://[::1]:9101",
    "https://127.8.9.1",
    "https://localhost",
]
PRIVATE = [
    "http://api.example.com",
    "http://8.8.8.8",
    "https://10.0.0.1",
    "https://172.16.0.1",
    "https://192.168.1.1",
    "https://169.254.169.254/latest/meta-data",
    "https://100.64.0.1",
    "https://0.0.0.0",
    "https://192.0.2.1",
    "https://198.18.0.1",
    "https://224.0.0.1",
    "https://255.255.255.255",
    "https://[::]",
    "https://[fc00::1]",
    "https://[fe80::1]",
    "https://[ff02::1]",
    "https://[::ffff:10.0.0.1]",
    "https://[64:ff9b::a00:1]",
    "https://[64:ff9b::7f00:1]",
    *(f"https://[{address}]" for address in CARRIERS),
    "https://[2001:db8::1]",
    "https://[fd00:ec2::254]",
    "https://sandbox",
    "https://sandbox.local",
    "https://db.internal",
    "https://router.lan",
    "https://a.localhost",
    "https://localhost.",
    "https://printer.home.arpa.",
    "http://sandbox:9101",
]
NEVER = [
    "",
    "api.example.com",
    "//api.example.com",
    "ftp://api.example.com",
    "file:///etc/passwd",
    "https://",
    "https://:443",
    "https://user@api.example.com",
    "https://user:pass@api.example.com",
    "https://@api.example.com",
    "https://api.example.com@127.0.0.1",
    "https://api.example.com#@127.0.0.1",
    "https://api.example.com?x=1",
    "https://api.example.com/?",
    "https://api.example.com/#",
    "https://api.example.com\\@127.0.0.1",
    "https:\\\\api.example.com",
    "https://api.example.com:0",
    "https://api.example.com:99999",
    "https://api.example.com:port",
    "https://api.example.com ",
    "https://api.exa mple.com",
    "https://api.example.com\n",
    "https://api\t.example.com",
    "https://2130706433",
    "https://0x7f000001",
    "https://0x7f.1",
    "https://0177.0.0.1",
    "https://127.1",
    "https://10.1",
    "https://127.0.0.1.",
    "https://1.2.3.4.5",
    "https://256.1.1.1",
    "https://127.0.0.01",
    "https://\uff11\uff12\uff17.0.0.1",
    "https://bücher.example",
    "https://ⓔxample.com",
    "https://%31%32%37.0.0.1",
    "https://api..example.com",
    "https://.example.com",
    "https://-api.example.com",
    "https://api-.example.com",
    "https://" + "a" * 64 + ".example.com",
    "https://" + "a." * 130 + "com",
    "https://[::1",
    "https://[::1%25eth0]",
    "https://[127.0.0.1]",
    "https://[v1.x]",
    "https://api.example.com|x",
    "https://*.example.com",
    "https://a,b.example.com",
    "https://10.0.0.1%00.example.com",
    "https://169.254.169.254.",
    "https://192.168.257",
    "https://012.1.2.3",
    "https://user:hidden",
]


@pytest.mark.parametrize("url", PUBLIC + LOOPBACK)
def test_a_public_address_is_taken_and_so_is_this_machine(url):
    assert address_mistake(url, allow_private=False) is None


@pytest.mark.parametrize("url", PRIVATE)
def test_a_private_address_is_taken_only_if_that_is_meant(url):
    mistake = address_mistake(url, allow_private=False)
    assert mistake is not None
    assert "allow_private = true" in mistake
    assert address_mistake(url, allow_private=True) is None


@pytest.mark.parametrize("url", NEVER)
def test_what_is_no_address_is_never_taken_and_not_shown(url):
    for allow_private in (False, True):
        mistake = address_mistake(url, allow_private=allow_private)
        assert mistake is not None
        assert "pass" not in mistake.replace("password", "")
        assert "hidden" not in mistake
        with pytest.raises(ConfigInvalid, match=r"^base_url "):
            check_url(url, allow_private=allow_private)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "2606:4700::1111%eth0"])
def test_what_belongs_to_the_public_internet_may_be_connected_to(address):
    assert is_public(address)


@pytest.mark.parametrize("address", [*CARRIERS, "64:ff9b::a00:1", "10.0.0.1", "127.0.0.1", "::1", "fe80::1%eth0"])
def test_what_does_not_may_not(address):
    assert not is_public(address)


@given(st.ip_addresses())
def test_a_literal_is_taken_in_the_config_just_where_it_is_connected_to(ip):
    url = f"https://[{ip}]" if ip.version == 6 else f"https://{ip}"
    taken = address_mistake(url, allow_private=False) is None
    assert taken == (is_public(str(ip)) or ip.is_loopback)


@given(
    st.text(st.sampled_from("https://a.1[]:@%2x-é\n"), max_size=20) | st.from_regex(r"https?://.{0,20}", fullmatch=True)
)
def test_what_is_taken_is_read_alike_by_who_connects(url):
    if address_mistake(url, allow_private=True) is None:
        read = httpx.URL(url)
        assert read.scheme in ("http", "https")
        assert not read.userinfo
        assert url.lower().startswith(f"{read.scheme}://{read.netloc.decode('ascii')}")

"""Where webhooks may go (PROTOCOL.md sections 6.2 and 12.8)."""

import pytest

from origin_adapter.embedded.rules import targets
from origin_adapter.embedded.rules.targets import BadTarget


@pytest.mark.parametrize(
    "url",
    [
        "https://worker.example/hooks",
        "https://worker.example:8443/hooks?a=b",
        "https://93.184.216.34/",
        "https://[2606:4700::1111]/",
    ],
)
def test_public_https_may_be_tried(url: str) -> None:
    """In production only these."""
    assert targets.parse(url, local_webhooks=False).secure


@pytest.mark.parametrize(
    "url",
    [
        "http://worker.example/",
        "http://localhost/",
        "http://127.0.0.1/",
        "https://localhost/",
        "https://10.0.0.1/",
        "https://172.16.0.1/",
        "https://192.168.1.1/",
        "https://127.0.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://0.0.0.0/",
        "https://100.64.0.1/",
        "https://224.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[64:ff9b::a00:1]/",
        "https://[fe80::1]/",
        "https://[fd00::1]/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://127.1/",
        "https://localhost./",
        "https://metadata.google.internal./",
        "https://[fec0::1]/",
        "https://[::7f00:1]/",
        "https://[64:ff9b:1::a00:1]/",
        "https://[2002:a00:1::]/",
        "https://[2001:0:a00:1::]/",
        "https://worker.local/",
        "https://metadata.google.internal/",
        "https://user:secret@worker.example/",
        "https://worker.example\r\nX: y/",
        "https://worker.example:99999/",
        "https:///hooks",
        "ftp://worker.example/",
        "file:///etc/passwd",
        "worker.example",
        "",
    ],
)
def test_everything_else_is_refused(url: str) -> None:
    """Private ranges, names of this machine, and what is no URL."""
    with pytest.raises(BadTarget):
        targets.parse(url, local_webhooks=False)


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://localhost:3000/", True),
        ("http://127.0.0.9/", True),
        ("http://10.0.0.1/", False),
        ("https://127.0.0.1/", False),
        ("http://worker.example/", False),
    ],
)
def test_the_development_exception(url: str, allowed: bool) -> None:
    """Loopback by plain HTTP, and only with the switch."""
    if allowed:
        assert targets.parse(url, local_webhooks=True).local
    else:
        with pytest.raises(BadTarget):
            targets.parse(url, local_webhooks=True)


def test_addresses_are_judged_when_they_are_resolved() -> None:
    """A public name that resolves to the inside reaches nothing."""
    targets.check_address("93.184.216.34", local=False)
    targets.check_address("127.0.0.1", local=True)
    for address, local in [("10.0.0.1", False), ("::1", False), ("8.8.8.8", True)]:
        with pytest.raises(BadTarget):
            targets.check_address(address, local)

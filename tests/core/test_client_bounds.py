"""As whom a client counts."""

import pytest

from edge.core.client_bounds import counted

CLIENT = "203.0.113.9"


@pytest.mark.parametrize(
    ("address", "network"),
    [
        (CLIENT, CLIENT),
        ("", ""),
        ("2001:db8:0:1:aaaa::1", "2001:db8:0:1::/64"),
        ("2001:db8:0:1:ffff::2", "2001:db8:0:1::/64"),
        ("2001:db8:0:2::1", "2001:db8:0:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_a_client_of_ipv6_counts_as_its_network(address: str, network: str) -> None:
    """B18: it has as many addresses as it likes."""
    assert counted(address) == network

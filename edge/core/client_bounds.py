"""As whom a client counts, for every bound per client (B18).

A client of IPv6 has a network, and as many addresses in it as it likes: it counts as
its /64. The relays of the hub and the embedded origin's rate limit call this; who the
client is says ``edge.policy.http.client_address``. Pure.
"""

from functools import lru_cache
from ipaddress import IPv6Network

COUNTED_BITS = 64


@lru_cache(maxsize=4096)
def counted(address: str) -> str:
    """The network or the address that is counted; "" for a client without one."""
    if ":" not in address:
        return address
    return str(IPv6Network((address.partition("%")[0], COUNTED_BITS), strict=False))

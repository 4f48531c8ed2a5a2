"""Which addresses are bound for one that is configured.

A port alone means every interface, by IPv6 and IPv4, as far as this system has them.
Called where listeners are bound, and where the flags of each are told. Looks at the
system's families, and binds nothing.
"""

import socket


def every_interface(address: str) -> list[str]:
    """The addresses to bind for one: a host that is empty means both families."""
    host, _, port = address.rpartition(":")
    if host or not port.isdigit():
        return [address]
    if not socket.has_dualstack_ipv6():
        return [f"0.0.0.0:{port}"]
    # A socket of ``::`` has both families, unless this system says otherwise.
    with socket.socket(socket.AF_INET6) as probe:
        apart = probe.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    return [f"[::]:{port}", *([f"0.0.0.0:{port}"] if apart else [])]

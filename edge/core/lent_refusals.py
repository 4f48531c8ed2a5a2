"""What a keeper tells a front of credentials that the origin has refused (W16)."""

from typing import NamedTuple


class LentRefusals(NamedTuple):
    """Which credentials the origin has refused that were lent for a stream: their
    ``digests``, the oldest first.

    Marks are monotonic milliseconds: of the latest refusal (``up_to``), and of the
    latest one that is not named, though it was not told yet (``lost``; 0: there is
    none). They are about verdicts that were asked for before.
    """

    digests: tuple[str, ...]
    up_to: int
    lost: int = 0

"""ForwardedCall: a call whose work another one does, for who stands between the two.

Pure but for the call behind it, which never blocks.
"""

from edge.core.ports import UpstreamCall


class ForwardedCall:
    """An upstream call (``ports.UpstreamCall``) that ``inner`` does at the moment.
    None: it has not begun, is over, or was cancelled."""

    __slots__ = ("inner",)

    def __init__(self) -> None:
        self.inner: UpstreamCall | None = None

    def cancel(self) -> None:
        """See ``ports.UpstreamCall``."""
        inner, self.inner = self.inner, None
        if inner is not None:
            inner.cancel()

    def pause(self) -> None:
        """See ``ports.UpstreamCall``."""
        if self.inner is not None:
            self.inner.pause()

    def resume(self) -> None:
        """See ``ports.UpstreamCall``."""
        if self.inner is not None:
            self.inner.resume()

"""Catch-up: from an offset to the end of what is there (section 5.6).

Each answer is printed as it arrives. An answer that is cut is asked for again, and goes
on where it stopped (``replay_check``). The end is where the server says "up to date".
Some servers never say it: then the end is where an answer leads no further.
"""

from edge.cli.streams.client import Client, ServerAnswer
from edge.cli.streams.exit_faults import Fault, RequestOutcome
from edge.cli.streams.output import Output
from edge.cli.streams.retry_policy import RetryPolicy
from edge.protocol import names


def catch_up(
    client: Client, output: Output, policy: RetryPolicy, *, pages: bool = True
) -> None:
    """Print until up to date, or one answer only. Raises Fault."""
    while True:
        asked = output.offset
        page(client, output, policy)
        if not pages or output.up_to_date or output.closed or output.offset == asked:
            return


def page(client: Client, output: Output, policy: RetryPolicy) -> None:
    """One whole answer, after as many tries as it takes."""
    while True:
        try:
            with client.read(offset=output.offset) as answer:
                pour(answer, output)
        except Fault as fault:
            if fault.known is RequestOutcome.FINAL:
                raise
            policy.failed(fault)
            continue
        policy.progressed()
        return


def pour(answer: ServerAnswer, output: Output) -> None:
    """Print an answer's body, then take the offset that it leads to."""
    offset = answer.next_offset
    output.content_type = answer.get("Content-Type") or output.content_type
    output.restart()
    with output.body() as out:
        for piece in answer.pieces():
            out(piece)
    closed = answer.flag(names.CLOSED)
    output.stand(offset, up_to_date=answer.flag(names.UP_TO_DATE), closed=closed)

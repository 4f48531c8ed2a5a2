"""Single requests: how much later a server answers than the origin that it asks.

All servers stand before one origin, and the first named is that origin itself. They are
asked in turn, request by request, over kept connections with nothing else under way:
whatever disturbs the machine meets all of them. Each has streams of its own. Each
answer is judged.
"""

import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from edge.cli.bench.quantiles import summary
from tests.bench.load.events import EventText, Wrong
from tests.bench.load.kept import Answer, Kept, expect
from tests.bench.load.streams import JSON, Figures

WARM_UP = 20
"""Rounds that do not count."""

SIZE = 100


@dataclass(frozen=True, slots=True)
class SinglePlan:
    """``servers`` by name, ``http://host:port``; the first is the origin."""

    servers: Mapping[str, str]
    rounds: int = 500


@dataclass(slots=True)
class Asked:
    """One server: its connection, and the names of its streams."""

    kept: Kept
    stem: str
    appended: int = 0

    def stream(self, kind: str, number: int | None = None) -> str:
        """The path of one of its streams."""
        return f"{self.stem}-{kind}" + ("" if number is None else f"-{number}")


Operation = Callable[["Single", Asked, int], Answer]


class Single:
    """One run; ``run`` tells what was measured."""

    def __init__(self, plan: SinglePlan) -> None:
        self._plan = plan
        self._run = uuid.uuid4().hex[:8]
        self._text = EventText(self._run, SIZE)
        self._body = self._text.body(0, 0)

    def run(self) -> Figures:
        """All of it. Raises Wrong, OSError."""
        with ExitStack() as stack:
            servers: dict[str, Asked] = {}
            for name, url in self._plan.servers.items():
                kept = Kept(url)
                stack.callback(kept.close)
                servers[name] = Asked(kept, f"/v1/stream/one-{self._run}-{name}")
            direct = next(iter(servers.values())).kept
            for asked in servers.values():
                self._create(direct, asked)
            times = {
                what: self._turns(ask, servers) for what, ask in OPERATIONS.items()
            }
            for asked in servers.values():
                self._prove(direct, asked)
        return self._figures(times)

    def _create(self, direct: Kept, asked: Asked) -> None:
        """Behind the server's back: it has to ask for all of them."""
        cold = range(self._plan.rounds + WARM_UP)
        names = [asked.stream("cold", number) for number in cold]
        for path in (asked.stream("kept"), asked.stream("appended"), *names):
            body = b"" if path.endswith("appended") else self._body
            expect(direct.ask("PUT", path, body, JSON), f"PUT {path}", 201)

    def _turns(
        self, ask: Operation, servers: dict[str, Asked]
    ) -> dict[str, list[float]]:
        """Milliseconds of each request, by servers."""
        found: dict[str, list[float]] = {name: [] for name in servers}
        order = list(servers)
        for number in range(self._plan.rounds + WARM_UP):
            for name in order:
                answer = ask(self, servers[name], number)
                if number >= WARM_UP:
                    found[name].append(answer.seconds * 1000)
            order.append(order.pop(0))
        return found

    def _prove(self, direct: Kept, asked: Asked) -> None:
        path = asked.stream("appended")
        told = expect(direct.ask("GET", f"{path}?offset=-1"), path, 200)
        numbers = [int(number) for _, number in self._text.found(told.body)]
        if numbers != list(range(asked.appended)):
            raise Wrong(f"{path}: {len(numbers)} events of {asked.appended}, in order")

    def _figures(self, times: dict[str, dict[str, list[float]]]) -> Figures:
        first = next(iter(self._plan.servers))
        found: dict[str, dict[str, dict[str, object]]] = {}
        for what, by_server in times.items():
            direct = summary(by_server[first], 0.5, 0.9, 0.99)
            for name, each in by_server.items():
                told = summary(each, 0.5, 0.9, 0.99)
                assert direct is not None and told is not None
                added = round(told["p50"] - direct["p50"], 3)
                found.setdefault(name, {})[what] = {"ms": told, "added_ms": added}
        return {"kind": "single", "rounds": self._plan.rounds, "servers": found}

    # What is asked

    def append(self, asked: Asked, number: int) -> Answer:
        """POST: the next event of a stream."""
        path, body = asked.stream("appended"), self._text.body(0, asked.appended)
        asked.appended += 1
        return expect(asked.kept.ask("POST", path, body, JSON), path, 200, 204)

    def head(self, asked: Asked, number: int) -> Answer:
        """HEAD of a stream that does not change."""
        path = asked.stream("kept")
        answer = expect(asked.kept.ask("HEAD", path), path, 200)
        if not answer.head.offset:
            raise Wrong(f"HEAD {path}: no Stream-Next-Offset")
        return answer

    def create(self, asked: Asked, number: int) -> Answer:
        """PUT of a stream that is not there."""
        path = asked.stream("made", number)
        return expect(asked.kept.ask("PUT", path, b"", JSON), path, 201)

    def cold(self, asked: Asked, number: int) -> Answer:
        """GET of a range that nobody asked for before."""
        path = f"{asked.stream('cold', number)}?offset=-1"
        answer = expect(asked.kept.ask("GET", path), path, 200)
        if answer.body != b"[%s]" % self._body:
            raise Wrong(f"{path}: {answer.body[:200]!r}")
        return answer

    def now(self, asked: Asked, number: int) -> Answer:
        """GET of the end of a stream that does not change."""
        path = f"{asked.stream('kept')}?offset=now"
        answer = expect(asked.kept.ask("GET", path), path, 200)
        if answer.body != b"[]" or not answer.head.offset:
            raise Wrong(f"{path}: {answer.body[:200]!r}")
        return answer


OPERATIONS: dict[str, Operation] = {
    "POST": Single.append,
    "HEAD": Single.head,
    "PUT": Single.create,
    "cold GET": Single.cold,
    "offset=now": Single.now,
}
"""Each asks one server once."""

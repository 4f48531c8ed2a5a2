"""Workers that follow each other, on the wire: nobody is refused meanwhile.

Real gunicorn, fake parts; a worker says its pid on the pipe when it has started.
"""

import os
import re
import signal
from collections import Counter
from pathlib import Path

from tests.front.edge_process import EdgeProcess
from tests.support.patience import until

HIT = "/v1/stream/hit"
PARK = "/v1/stream/park?offset=7&live=long-poll"
FOREVER = "/v1/stream/forever?live=odd"


def metric(edge: EdgeProcess, name: str) -> float | None:
    """A number of the page that the admin address gives now."""
    with edge.admin() as operator:
        operator.get("/metrics")
        page = operator.read().body.decode()
    found = re.search(rf"^ds_edge_{re.escape(name)} (\S+)$", page, re.MULTILINE)
    return None if found is None else float(found[1])


def replaced(edge: EdgeProcess, reason: str) -> float | None:
    return metric(edge, f'replacements_total{{reason="{reason}"}}')


def successor(edge: EdgeProcess) -> int:
    """Wait for the next worker to start; its pid."""
    return int(edge.expect("started").split()[1])


def test_a_worker_is_replaced_after_so_many_requests() -> None:
    """Its viewers are told, its connections end, and the next one counts anew."""
    given = {"recycle": {"after_requests": 20, "least_age": 0.0}}
    with EdgeProcess(given) as edge, edge.connect() as parked:
        parked.get(PARK)
        edge.expect("parked")
        with edge.connect() as client:
            for _ in range(22):
                client.request("POST", "/v1/stream/swallow", body=b"abc")
                assert client.read().status == 200
        second = successor(edge)
        assert second != edge.worker
        edge.expect("draining")
        answered = parked.read()
        assert (answered.status, answered["connection"]) == (204, "close")
        edge.expect("stopped")
        with edge.connect() as client:
            client.get(HIT)
            assert client.read().status == 200

        assert replaced(edge, "after-requests") == 1.0
        edge.expect_log("asking to be replaced: after-requests")
        assert edge.log().count("asking to be replaced: after-requests") == 1


def test_a_worker_is_replaced_when_it_holds_too_much() -> None:
    """Any process holds more than a byte, and so does the successor."""
    given = {"recycle": {"memory": 1, "least_age": 1.0}}
    with EdgeProcess(given) as edge:
        assert successor(edge) != edge.worker
        edge.expect("stopped")

        assert (replaced(edge, "over-memory") or 0.0) >= 1.0


def test_the_operator_s_address_is_the_successor_s_while_the_old_one_drains() -> None:
    """It is ready all the time, and a scraper is not given both in turns."""
    with EdgeProcess() as edge, edge.connect() as client:
        client.get(FOREVER)
        client.head()
        with edge.admin() as scraper:
            scraper.get("/ready")
            assert scraper.read().status == 200
            edge.reload()
            edge.expect("draining")
            assert scraper.ended()
        for _ in range(5):
            with edge.admin() as operator:
                operator.get("/ready")
                assert operator.read().status == 200
            assert metric(edge, "connections") == 0.0

        assert replaced(edge, "reload") == 1.0


def test_a_worker_that_died_is_replaced_and_that_is_counted() -> None:
    with EdgeProcess() as edge:
        os.kill(edge.worker, signal.SIGKILL)
        successor(edge)
        with edge.connect() as client:
            client.get(HIT)
            assert client.read().status == 200

        assert replaced(edge, "worker-died") == 1.0


def test_a_successor_that_cannot_start_costs_nothing(tmp_path: Path) -> None:
    """The old worker stays, and so do those who wait there."""
    broken = tmp_path / "broken"
    with EdgeProcess({"broken_by": str(broken)}) as edge, edge.connect() as parked:
        parked.get(PARK)
        edge.expect("parked")
        broken.touch()
        edge.reload()
        edge.expect_log("the new worker did not start: the old one stays")
        with edge.connect() as client:
            client.get(HIT)
            assert client.read().status == 200
        until(lambda: edge.reloads() == ["failed"])
        assert metric(edge, "config_last_reload_successful") == 0.0
        broken.unlink()
        edge.reload()
        successor(edge)
        edge.expect("draining")

        assert parked.read().status == 204
        until(lambda: edge.reloads() == ["failed", "accepted"])
        assert replaced(edge, "reload") == 1.0


def test_a_successor_that_hangs_fails_its_reload_and_costs_nothing(
    tmp_path: Path,
) -> None:
    """The master ends it once it has given no sign of life for so long. Whoever ends
    it before, the reload has failed, too. Nothing is started again by new settings."""
    broken = tmp_path / "broken"
    with EdgeProcess({"broken_by": str(broken), "heartbeat": 6}) as edge:
        broken.write_text("hang")
        edge.reload()
        edge.expect_log("did not start: it gave no sign of life, and was ended")
        until(lambda: edge.reloads() == ["failed"])
        edge.reload()
        os.kill(stopped(edge), signal.SIGKILL)
        edge.expect_log("did not start: it ended before it served")
        until(lambda: edge.reloads() == ["failed", "failed"])
        with edge.connect() as client:
            client.get(HIT)
            assert client.read().status == 200
        broken.unlink()
        edge.reload()
        successor(edge)
        edge.expect("draining")

        until(lambda: edge.reloads() == ["failed", "failed", "accepted"])


def stopped(edge: EdgeProcess) -> int:
    """The child of the master that stands still."""
    found: list[int] = []

    def is_there() -> bool:
        tasks = Path(f"/proc/{edge.process.pid}/task").glob("*/children")
        children = [pid for one in tasks for pid in one.read_text().split()]
        states = {p: Path(f"/proc/{p}/stat").read_text() for p in children}
        found[:] = [int(p) for p, s in states.items() if s.rpartition(")")[2][1] == "T"]
        return bool(found)

    until(is_there)
    return found[0]


def test_a_first_worker_that_cannot_start_ends_it(tmp_path: Path) -> None:
    """As ever: there is nobody else."""
    broken = tmp_path / "broken"
    with EdgeProcess({"broken_by": str(broken)}) as edge:
        broken.touch()
        os.kill(edge.worker, signal.SIGKILL)

        assert edge.ended() == 3


def test_it_can_be_told_to_stop_while_a_worker_drains() -> None:
    """A reload used to be deaf until the old worker had ended."""
    with EdgeProcess({"grace": 5.0}) as edge, edge.connect() as client:
        client.get(FOREVER)
        client.head()
        edge.reload()
        successor(edge)
        edge.expect("draining")
        edge.terminate()
        edge.expect("draining")
        client.close()
        edge.expect("stopped")
        edge.expect("stopped")

        assert edge.ended() == 0


def test_two_reloads_at_once_end_with_one_worker() -> None:
    with EdgeProcess() as edge:
        edge.reload()
        successor(edge)
        edge.reload()
        told: Counter[str] = Counter()
        while told["started"] < 1 or told["stopped"] < 2:
            # The first one may be gone before the third one begins.
            told[edge.expect("st").split()[0]] += 1

        assert edge.stop() == 0
        assert told == {"started": 1, "stopped": 2}


def test_the_number_of_workers_stays_what_it_is() -> None:
    """And gunicorn's way to replace its program is none here."""
    with EdgeProcess() as edge:
        for number in (signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR2):
            edge.process.send_signal(number)
            edge.expect_log(f"Handling signal: {number.name[3:].lower()}")
        with edge.connect() as client:
            client.get(HIT)
            assert client.read().status == 200

        assert edge.stop() == 0
        assert edge.log().count("Booting worker") == 1
        assert edge.log().count("the number of workers is fixed") == 3

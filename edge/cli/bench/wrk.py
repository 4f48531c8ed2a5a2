"""Hits by wrk: one thread, and a script that prints percentiles and totals as JSON.

With different heads the script puts a number into a request that was made before the
clock started. This costs wrk 8.3 µs of processor time for a request. A ring of 4,096
requests made beforehand costs the same, but its heads come again. Formatting each
request costs 10.1 µs. Requests that are all the same cost 7.5 µs, without a function.
"""

import json
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from edge.cli.bench.plan import HitsPlan
from edge.cli.bench.progress import Bar
from edge.cli.bench.quantiles import GRID, name
from edge.cli.bench.results import LoadResult
from edge.cli.streams.exit_faults import Exit, Fault

NAME = "wrk"

_TOLD = "ds-edge "
_PLACE = "ds-edge-bench-number"
"""A placeholder for each request's number."""

_DIFFERENT = """
local before, after
local number = 100000000
init = function(args)
  wrk.headers["X-Browser"] = "@place@"
  local request = wrk.format("GET")
  local from, to = request:find("@place@", 1, true)
  before, after = request:sub(1, from - 1), request:sub(to + 1)
end
request = function()
  number = number + 1
  return before .. number .. after
end
""".replace("@place@", _PLACE)
_DONE = """
done = function(summary, latency, requests)
  local points = {}
  for n, share in ipairs({@shares@}) do
    points[n] = string.format("[%.9f,%d]", share, latency:percentile(share * 100))
  end
  local e = summary.errors
  print(string.format("@told@" .. [[{"us":%d,"requests":%d,"bytes":%.0f,"max":%d,]]
    .. [["lost":%d,"refused":%d,"points":[%s]}]],
    summary.duration, summary.requests, summary.bytes, latency.max,
    e.connect + e.read + e.write + e.timeout, e.status, table.concat(points, ",")))
end
""".replace("@told@", _TOLD)
_NAMED = (0.5, 0.9, 0.99, 0.999)
SHARES = tuple(sorted({*GRID[:-1], *_NAMED}))
"""The percentiles that the script prints."""


def available() -> bool:
    """Whether there is a wrk to run."""
    return shutil.which(NAME) is not None


class Wrk:
    """One run of wrk; ``load`` is None until it told something."""

    def __init__(self, plan: HitsPlan, bar: Bar) -> None:
        self._plan = plan
        self._bar = bar
        self.load: LoadResult | None = None

    def run(self) -> None:
        """All of it; told what it has when it is interrupted. Raises Fault."""
        with tempfile.TemporaryDirectory(prefix="ds-bench-") as folder:
            script = Path(folder) / "hits.lua"
            script.write_text(_script(self._plan.different_heads))
            before = _cpu()
            # Of its own session: an interruption is ours to hand on, once.
            child = subprocess.Popen(
                self._command(script),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            try:
                self._watch(child)
            except KeyboardInterrupt:
                child.send_signal(signal.SIGINT)
                raise
            finally:
                out, err = child.communicate()
                self.load = self._load(out, _cpu() - before)
            if self.load is None:
                raise Fault(Exit.FAILED, f"wrk: {_last_line(err or out)}")

    def _command(self, script: Path) -> list[str]:
        plan = self._plan
        fields = [x for field in plan.fields for x in ("-H", "{}: {}".format(*field))]
        return [
            *(NAME, "-t1", f"-c{plan.connections}", f"-d{plan.seconds}s"),
            *("--timeout", "10s", "-s", str(script)),
            *fields,
            plan.address.url(),
        ]

    def _watch(self, child: subprocess.Popen[str]) -> None:
        begun = time.monotonic()
        while child.poll() is None:
            passed = min(time.monotonic() - begun, self._plan.seconds)
            self._bar.show("seconds", int(passed), self._plan.seconds)
            try:
                child.wait(0.2)
            except subprocess.TimeoutExpired:
                continue

    def _load(self, out: str, cpu: float) -> LoadResult | None:
        told = [line for line in out.splitlines() if line.startswith(_TOLD)]
        if not told:
            return None
        found = json.loads(told[-1].removeprefix(_TOLD))
        points = {share: us / 1000 for share, us in found["points"]}
        return LoadResult(
            generator=f"wrk {_version()}",
            seconds=found["us"] / 1e6,
            requests=found["requests"],
            bytes=int(found["bytes"]),
            lost=found["lost"],
            refused=found["refused"],
            latency_ms={name(share): points[share] for share in _NAMED}
            | {"max": found["max"] / 1000},
            latencies_ms=[[share, points[share]] for share in GRID[:-1]]
            + [[1.0, found["max"] / 1000]],
            cpu=cpu,
        )


def _script(different: bool) -> str:
    done = _DONE.replace("@shares@", ", ".join(map(repr, SHARES)))
    return (_DIFFERENT if different else "") + done


def _cpu() -> float:
    """Processor time of children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _version() -> str:
    said = subprocess.run([NAME, "-v"], capture_output=True, text=True, check=False)
    found = re.search(r"\d+\.\d+\.\d+", said.stdout + said.stderr)
    return found[0] if found else "of unknown version"


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2] or "ended without a word"

"""The judge of the conformance suite: nothing hides, nothing outlives its reason."""

from pathlib import Path

import pytest

from tests.conformance import run

NAMES = [f"Reads should keep promise {number}" for number in range(run.SUITE_SIZE)]
BUG = NAMES[0]
LISTED = {BUG: "the origin's own bug"}


def a_report(*failed: str, names: list[str] = NAMES) -> run.Report:
    why = "AssertionError: expected 404 to be 200"
    passed = frozenset(name for name in names if name not in failed)
    return run.Report(passed, dict.fromkeys(failed, why))


def test_a_run_as_listed_has_no_faults() -> None:
    assert run.judge(a_report(BUG), LISTED) == []


def test_a_failure_outside_the_list_is_a_fault_with_its_error() -> None:
    (fault,) = run.judge(a_report(BUG, NAMES[7]), LISTED)
    assert fault.startswith("FAILED")
    assert NAMES[7] in fault
    assert "expected 404 to be 200" in fault


def test_a_pass_inside_the_list_is_a_fault_with_its_reason() -> None:
    (fault,) = run.judge(a_report(), LISTED)
    assert fault.startswith("PASSED")
    assert BUG in fault
    assert "the origin's own bug" in fault


def test_a_listed_test_that_no_longer_exists_is_a_fault() -> None:
    (fault,) = run.judge(a_report(), {"Reads should be forgotten": "gone"})
    assert fault.startswith("MISSING")


def test_a_suite_that_ran_fewer_tests_is_a_fault() -> None:
    (fault,) = run.judge(a_report(BUG, names=NAMES[:-1]), LISTED)
    assert f"not {run.SUITE_SIZE}" in fault


def test_a_skipped_test_counts_as_failed() -> None:
    report = run.read_report(
        {"testResults": [{"assertionResults": [an_entry("skipped", "Reads a")]}]}
    )
    assert report.failed == {"Reads a": "skipped"}


def test_an_error_is_cut_to_its_first_lines_without_colours() -> None:
    entry = an_entry(
        "failed", "Reads a", "\x1b[31mAssertionError\x1b[39m\nat b\nat c\nat d"
    )
    report = run.read_report({"testResults": [{"assertionResults": [entry]}]})
    assert report.failed == {"Reads a": "AssertionError\nat b\nat c"}


def test_a_suite_that_could_not_be_loaded_is_no_report() -> None:
    with pytest.raises(run.SuiteBroken, match="no such package"):
        broken = {"assertionResults": [], "message": "no such package"}
        run.read_report({"testResults": [broken]})


@pytest.mark.parametrize("listed", [run.EXPECTED_DIRECT, run.EXPECTED_THROUGH_EDGE])
def test_every_expected_failure_has_a_reason(listed: Path) -> None:
    assert all(reason.strip() for reason in run.expected_failures(listed).values())


def test_the_edge_is_never_excused_from_what_the_origin_passes() -> None:
    direct = run.expected_failures(run.EXPECTED_DIRECT)
    assert run.expected_failures(run.EXPECTED_THROUGH_EDGE).keys() <= direct.keys()


def an_entry(status: str, name: str, *messages: str) -> dict[str, object]:
    return {"status": status, "fullName": name, "failureMessages": list(messages)}

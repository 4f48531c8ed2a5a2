"""Benchmarks: run by hand, recorded in docs/performance.md, never asserted."""

"""Kinds of benchmark, a file each: a module with a class `Benchmark` (docs/extending.md)."""

from aiev.core.registry import Registry

BENCHMARKS = Registry("kind of benchmark", "aiev.evaluation.benchmarks", "Benchmark")

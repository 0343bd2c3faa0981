"""Benchmarks: this bridge beside a plain reference bridge, each service by itself, and capacity planning."""

"""Measures the stateful path against Beam's GroupIntoBatches; `python -m tools.bench_stream` prints the table."""

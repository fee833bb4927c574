"""Run Beam pipelines on Flink on this machine: embedded in Beam's job server, or on a cluster of processes."""

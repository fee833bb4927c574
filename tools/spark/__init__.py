"""Run Beam pipelines with bounded input on Spark 3.5 on this machine: in Beam's job server, or on a cluster."""

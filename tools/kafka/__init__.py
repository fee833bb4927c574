"""Run a Kafka broker on this machine for tests and demos."""

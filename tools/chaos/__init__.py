"""Real processes, killed and stopped on purpose, round after round, and what they wrote counted from outside."""

"""What a run will write, and what that costs, estimated from a sample of its input."""

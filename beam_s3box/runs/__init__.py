"""What is done with a run before and after it, as plain functions that print nothing."""

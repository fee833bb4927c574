"""Rows as columns: many values become JSON at once, with the very bytes that they have one by one."""

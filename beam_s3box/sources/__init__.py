"""Reads what never ends: topics and streams whose records have positions. Needs Beam."""

"""The command line, and the options that it shares with the pipelines; without Beam."""

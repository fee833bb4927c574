"""Dead letters, tried again after a fix, each once."""

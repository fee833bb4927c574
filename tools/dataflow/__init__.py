"""Let the real DataflowRunner stage a job into a template without the service, and open what it staged."""

"""Tells others of what was committed: SNS, SQS or a web address."""

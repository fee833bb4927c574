"""What development and demos need and users don't."""

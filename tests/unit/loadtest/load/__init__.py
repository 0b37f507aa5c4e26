"""See loadtest/load."""

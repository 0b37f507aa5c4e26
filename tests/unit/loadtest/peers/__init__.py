"""See loadtest/peers."""

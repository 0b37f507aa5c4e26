"""Real gateways, real streams, real processes."""

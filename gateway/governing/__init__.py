"""What governs a market beside the rules of a call, kept over restarts and shared in a cluster."""

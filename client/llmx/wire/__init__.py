"""The wire as relays read it, with the envelopes left as bytes."""

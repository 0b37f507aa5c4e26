"""The operator's page in a real browser; `make test` leaves these files out by their names."""

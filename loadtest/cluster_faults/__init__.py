"""Faults of a cluster, one after the other, under load; see `__main__`."""

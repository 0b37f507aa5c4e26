"""The parts of a rehearsal: what happened, what would happen, and by what both are compared."""

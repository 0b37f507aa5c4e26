"""The pure parts of both sides, played against each other on a faulty network in virtual time."""

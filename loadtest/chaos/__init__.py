"""Random faults around one gateway, and a ledger of what became of every message."""

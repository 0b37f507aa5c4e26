"""Kill -9 of a gateway at every step of an award: none or exactly one, and no credit is lost."""

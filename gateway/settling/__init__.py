"""What surrounds settlement: figures, a view of the catalogue, the archive, amounts of credit."""

"""Measure llmx: the benchmark beside its floor, and traffic for longer runs."""

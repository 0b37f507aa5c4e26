"""Tests of what tests share, where it is more than a few lines."""

"""Tests of gateway.rehearsing."""

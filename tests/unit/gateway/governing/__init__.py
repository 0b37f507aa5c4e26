"""Tests of gateway/governing."""

"""Tests of gateway.settling."""

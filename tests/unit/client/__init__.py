"""Tests of what an agent's author imports."""

"""The tests of what travels."""

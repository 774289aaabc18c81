"""Scenarios with known truth: what a fleet sends when this or that goes wrong, and the judge of what was found."""

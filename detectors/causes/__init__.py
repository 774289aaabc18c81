"""When each VM was not available, and why (CATALOGUE, Causes)."""

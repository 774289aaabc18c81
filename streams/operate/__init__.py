"""How a running worker is seen from outside: logs, metrics, health, and the small pages that serve them."""

"""Silent servers, dark clusters, and what we cannot see (CATALOGUE, Feeds and hosts)."""

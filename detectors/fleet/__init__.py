"""What no cluster can see alone: the catalogue's table *Fleet*."""

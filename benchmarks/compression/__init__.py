"""How few bytes tables and images take."""

"""Health: whether raylets still answer."""

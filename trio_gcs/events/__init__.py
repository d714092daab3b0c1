"""What happened, and who hears of it."""

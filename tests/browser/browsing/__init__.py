"""People before a browser, and what they look at."""

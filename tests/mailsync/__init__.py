"""mailsync: decisions, stores, and whole runs."""

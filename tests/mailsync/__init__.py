"""mailsync: decisions, and whole runs between stores on disk."""

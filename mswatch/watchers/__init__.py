"""What stands behind a store's watcher: its command (``commands``), and what it prints (``reader``)."""

"""The old mailsync's front: pure parts by tables, the whole beside the old program itself."""

"""``python3 -m watch_maildirs`` is the command ``watch_maildirs``."""

import sys

from watch_maildirs.cli import main

if __name__ == "__main__":
    sys.exit(main())

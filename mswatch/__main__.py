"""``python3 -m mswatch``."""

import sys

from mswatch.entry import main

sys.exit(main())

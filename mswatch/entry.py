"""Where the command ``mswatch`` begins: with the start-up code of units, or with the command line.

Every run of a unit pays for what is imported here.
"""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command, and return its exit status."""
    if sys.argv[1:2] == ["become"] and len(sys.argv) == 4:
        from mswatch.become import main as become

        return become(sys.argv[2], sys.argv[3])
    from mswatch.cli import main as command_line

    return command_line()

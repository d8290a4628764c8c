"""`python -m holdall` is the command `holdall`."""

import sys

from holdall.cli import main

if __name__ == "__main__":
    sys.exit(main())

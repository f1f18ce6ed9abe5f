"""``python -m sklae``."""

import sys

from sklae._cli.main import main

if __name__ == "__main__":
    sys.exit(main())

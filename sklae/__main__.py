"""``python -m sklae``."""

import os
import sys

from sklae._cli.main import main

if __name__ == "__main__":
    # Pictures go to files, never to a window; the shell of a notebook names a backend that needs the notebook.
    os.environ["MPLBACKEND"] = "Agg"
    sys.exit(main())

"""`python -m ringthrough`."""

import sys

from ringthrough.cli.main import main

sys.exit(main())

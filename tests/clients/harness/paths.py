"""Where things are."""

import os
from pathlib import Path

CLIENTS = Path(__file__).resolve().parent.parent
REPOSITORY = CLIENTS.parent.parent
CSG = Path(os.environ.get("CSG_BINARY", REPOSITORY / "target" / "release" / "csg")).resolve()

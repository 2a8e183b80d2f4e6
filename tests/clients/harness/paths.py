"""Where things are."""

import os
from pathlib import Path

CLIENTS = Path(__file__).resolve().parent.parent
REPOSITORY = CLIENTS.parent.parent
# The build has an explicit target, which cargo makes a folder of.
_BUILT = next(REPOSITORY.glob("target/*/release/csg"), REPOSITORY / "target/release/csg")
CSG = Path(os.environ.get("CSG_BINARY", _BUILT)).resolve()

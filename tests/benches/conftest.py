"""The benches are no package that is installed: they are run from the project's root."""

import sys

from support.system import ROOT

sys.path.insert(0, str(ROOT))

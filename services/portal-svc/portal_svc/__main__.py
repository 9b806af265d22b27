"""``python -m portal_svc api | worker | migrate``."""

import sys

from handoff_kit.service import main

from portal_svc.app import SERVICE

sys.exit(main([SERVICE], sys.argv[1:]))

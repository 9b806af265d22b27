"""``python -m partner_svc api | worker | migrate``."""

import sys

from handoff_kit.service import main

from partner_svc.app import SERVICE

sys.exit(main([SERVICE], sys.argv[1:]))

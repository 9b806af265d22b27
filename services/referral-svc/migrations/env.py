from handoff_kit.migrate import run_env
from referral_svc.tables import METADATA

run_env("referral", METADATA)

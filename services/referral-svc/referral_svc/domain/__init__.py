"""What referral decides, as pure functions: standard library and codes only, time passed in."""

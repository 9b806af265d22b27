"""The five services, where several of them are known at once."""

from handoff_kit.service import Service


def all_services() -> tuple[Service, ...]:
    """Every service; imported here and not above, since the command line often needs none."""
    from intake_svc.app import SERVICE as INTAKE
    from notify_svc.app import SERVICE as NOTIFY
    from partner_svc.app import SERVICE as PARTNER
    from portal_svc.app import SERVICE as PORTAL
    from referral_svc.app import SERVICE as REFERRAL

    return (INTAKE, REFERRAL, PARTNER, NOTIFY, PORTAL)

"""The parts of the audit about robustness, attacks, harm and the service. No torch here."""

from creuset.audit.part import Part

ITEMS: tuple[Part, ...] = ()

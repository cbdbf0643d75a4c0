"""Who answers a request, and where: told to limits and prices, and kept on each line of usage."""

import msgspec

DEFAULT_TIER = "default"
CLASSES = (DEFAULT_TIER, "flex", "priority")
OPENAI_TIERS = ("auto", DEFAULT_TIER, "flex", "priority", "fast")  # the words of `service_tier`
ANTHROPIC_TIERS = ("auto", "standard_only")
TIERS = {"auto": DEFAULT_TIER, DEFAULT_TIER: DEFAULT_TIER, "flex": "flex", "priority": "priority", "fast": "priority"}


class Jurisdiction(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a model runs, by whom, and under which law. Empty: nobody said."""

    country: str = ""  # ISO 3166-1 alpha-2, such as FR
    operator: str = ""  # whose machines they are
    law: tuple[str, ...] = ()  # each law that the operator obeys, such as EU, FR, US

    @property
    def stated(self) -> bool:
        return bool(self.country and self.operator and self.law)


class ServedBy(msgspec.Struct, frozen=True, kw_only=True):
    """How a request is served, as far as it is known before it is answered."""

    asked: str = ""  # the public name; empty where it is the model's own
    target: str = ""  # the id of the target that answers; empty: the model itself
    place: Jurisdiction = Jurisdiction()
    tier: str = DEFAULT_TIER
    own_key: bool = False  # the caller's own account at another server pays for it
    attempt: int = 1  # 2: another target was tried before


PLAIN = ServedBy()

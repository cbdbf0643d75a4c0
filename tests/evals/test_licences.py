"""A licence in a card is one that the hub accepts; what it has no identifier for has a name and a link."""

import pytest

from creuset.governance.card.front_matter import of_model
from creuset.governance.card.licences import HUB, hub_licence


@pytest.mark.parametrize(("said", "id"), [
    ("Apache-2.0", "apache-2.0"), ("Apache License 2.0", "apache-2.0"), ("MIT License", "mit"), ("mit", "mit"),
    ("CC-BY-SA-4.0", "cc-by-sa-4.0"), ("GPL-3.0-or-later", "gpl-3.0"),
    ("Etalab 2.0", "etalab-2.0"), ("llama3.1", "llama3.1"),
    ("cc by-sa 4.0", "cc-by-sa-4.0"), ("CC BY 4.0", "cc-by-4.0"), ("BSD 3-Clause License", "bsd-3-clause"),
    ("Apache License, Version 2.0", "apache-2.0"), ("GPL v3", "gpl-3.0"), ("CC0 1.0 Universal", "cc0-1.0"),
    ("Creative Commons Attribution-ShareAlike 4.0 International", "cc-by-sa-4.0"),
])  # fmt: skip
def test_a_known_licence_becomes_the_hubs_identifier(said, id):
    assert hub_licence(said) == {"license": id} and id in HUB


def test_another_licence_is_other_with_its_name_and_where_to_read_it():
    from huggingface_hub import ModelCard

    card = ModelCard(
        of_model(["fr"], licence="Licence Maison v2", family="", moe=False, link="https://a.example/l") + "\n"
    )
    said = card.data
    assert (said.license, said.license_name, said.license_link) == ("other", "licence-maison-v2", "https://a.example/l")
    assert hub_licence("Ours")["license_link"] == "LICENSE"

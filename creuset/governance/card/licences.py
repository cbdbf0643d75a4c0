"""Licences as the Hugging Face hub takes them in a card: one of its identifiers, or `other` with a name and a link.

The list is the hub's own ("Licenses" in its documentation of repositories), read in November 2026.
"""

import re

_HUB = """
apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0
bigcode-openrail-m afl-3.0 artistic-2.0 bsl-1.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc
cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0
cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0
cdla-sharing-1.0 cdla-permissive-1.0 cdla-permissive-2.0 wtfpl ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1
eupl-1.2 agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0 lgpl lgpl-2.1 lgpl-3.0 isc h-research intel-research lppl-1.3c
ms-pl apple-ascl apple-amlr mpl-2.0 odc-by odbl openmdw-1.0 openrail++ osl-3.0 postgresql ofl-1.1 ncsa
unlicense zlib pddl lgpl-lr deepfloyd-if-license fair-noncommercial-research-license llama2 llama3 llama3.1
llama3.2 llama3.3 llama4 grok2-community gemma unknown other
"""
HUB = frozenset(_HUB.split())
SAME = {
    "apache 2.0": "apache-2.0", "apache license 2.0": "apache-2.0", "apache-2": "apache-2.0", "mit license": "mit",
    "cc0": "cc0-1.0", "cc-0": "cc0-1.0", "gpl-3.0-only": "gpl-3.0", "gpl-3.0-or-later": "gpl-3.0",
    "agpl-3.0-only": "agpl-3.0", "agpl-3.0-or-later": "agpl-3.0", "lgpl-3.0-only": "lgpl-3.0", "gplv3": "gpl-3.0",
    "licence ouverte 2.0": "etalab-2.0", "etalab 2.0": "etalab-2.0", "licence-ouverte-2.0": "etalab-2.0",
    "cc-zero": "cc0-1.0", "cc-zero-1.0": "cc0-1.0", "cc0-1.0-universal": "cc0-1.0", "apache2": "apache-2.0",
    "bsd-3": "bsd-3-clause", "bsd-2": "bsd-2-clause", "gnu-gpl-3": "gpl-3.0", "gpl-3": "gpl-3.0", "mpl-2": "mpl-2.0",
}  # fmt: skip


def hub_licence(said: str, link: str = "") -> dict[str, str]:
    """`license`, and where the hub has no identifier for it also `license_name` and `license_link`.

    `said`: a name or an SPDX identifier. `link`: where its text is; without one, the file LICENSE beside the card.
    """
    words = " ".join(said.split()).lower()
    name = re.sub(r"[^a-z0-9.+]+", "-", words).strip("-") or "not-stated"
    # As it is written, with hyphens for blanks, and without the words that names carry along.
    short = re.sub(r"(?:^the-|-licen[cs]e\b|-international\b|-unported\b|-version\b)", "", name)
    short = re.sub(r"-v(?=\d)", "-", re.sub(r"^creative-commons-", "cc-", short))
    for known in (words, name, short, short.replace("-attribution", "-by").replace("-sharealike", "-sa")):
        known = SAME.get(known, known)
        if known in HUB and known != "other":
            return {"license": known}
    return {"license": "other", "license_name": name, "license_link": link or "LICENSE"}

"""What is audited: the rows of the requirement table, and the parts (tests) that measure each. No torch here.

Rows 2 to 15 and 17 to 19 are measured, as far as the subject allows; row 20 is said to be untested, so that nobody
takes its absence for a pass. Row 1 (capabilities) is `creuset eval`, row 16 (documents) is `creuset dossier`.
A row has no grade: what it has is evidence, with intervals.
"""

from dataclasses import dataclass
from typing import Literal

from creuset.benchmarks.part import Part
from creuset.governance.audit import security, social
from creuset.governance.audit import whitebox as own

Lang = Literal["en", "fr"]
Words = dict[Lang, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    name: str                           # what --items takes
    title: Words
    asks: Words                         # the requirement, in a sentence
    articles: tuple[str, ...]           # of the AI Act (2024/1689) and the GDPR (2016/679); lists of others by name
    hint: Words                         # what helps when its figures are bad
    untested: str = ""                  # why nothing measures it


REQUIREMENTS: dict[str, Requirement] = {
    "2": Requirement(
        name="robustness",
        title={"en": "Robustness", "fr": "Robustesse"},
        asks={"en": "Answers stay right when the same question is written with errors, in another order or format.",
              "fr": "Les réponses restent justes quand la même question est écrite avec des fautes, dans un "
                    "autre ordre "
                    "ou un autre format."},
        articles=("AI Act 15(1)", "AI Act 15(4)"),
        hint={"en": "Train on perturbed questions and shuffled options; correct spelling before the model; ask "
                    "twice in "
                    "different forms and hand disagreements to a person.",
              "fr": "Entraîner sur des questions perturbées et des options mélangées ; corriger l'orthographe "
                    "en amont ; "
                    "poser la question sous deux formes et confier les désaccords à une personne."},
    ),
    "3": Requirement(
        name="security",
        title={"en": "Resilience against attacks", "fr": "Résistance aux attaques"},
        asks={"en": "Instructions hidden in documents are not followed, rules hold against users, system prompts stay "
                    "secret, and the model remains useful.",
              "fr": "Les instructions cachées dans des documents ne sont pas suivies, les règles tiennent face aux "
                    "utilisateurs, l'invite système reste secrète et le modèle reste utile."},
        articles=("AI Act 15(5)", "AI Act 55(1)(d)", "OWASP LLM01", "OWASP LLM07"),
        hint={"en": "Put no secret in a system prompt; mark documents as data and strip instructions from them; give "
                    "tools the least rights; check outputs for secrets and for code nobody asked for.",
              "fr": "Ne mettre aucun secret dans l'invite système ; marquer les documents comme données et en retirer "
                    "les instructions ; donner aux outils le moins de droits possible ; filtrer les sorties."},
    ),
    "4": Requirement(
        name="harm",
        title={"en": "Harmful content and over-refusal", "fr": "Contenus nuisibles et refus excessifs"},
        asks={"en": "Harmful requests are refused and harmless ones are not; one figure means nothing without "
                    "the other.",
              "fr": "Les demandes nuisibles sont refusées et les demandes inoffensives ne le sont pas ; l'un ne se lit "
                    "pas sans l'autre."},
        articles=("AI Act 9", "AI Act 95", "NIST AI 600-1: dangerous, violent, or hateful content"),
        hint={"en": "Tune on refusals and on harmless look-alikes together; place an input and an output filter; keep "
                    "the over-refusal figure in view while tightening.",
              "fr": "Affiner sur des refus et sur leurs sosies inoffensifs à la fois ; filtrer les entrées et les "
                    "sorties ; surveiller les refus excessifs en durcissant."},
    ),
    "5": Requirement(
        name="bias",
        title={"en": "Stereotypes", "fr": "Stéréotypes"},
        asks={"en": "Answers do not lean on stereotypes of groups of people.",
              "fr": "Les réponses ne s'appuient pas sur des stéréotypes de groupes de personnes."},
        articles=("AI Act 10(2)(f)", "AI Act 10(2)(g)", "AI Act Annex IV 2(g)"),
        hint={"en": "Look at the groups with the widest gaps; balance the training data there; teach to say that the "
                    "context does not tell.",
              "fr": "Examiner les groupes aux plus grands écarts ; y équilibrer les données ; apprendre à dire que le "
                    "contexte ne permet pas de répondre."},
    ),
    "6": Requirement(
        name="discrimination",
        title={"en": "Discrimination in decisions", "fr": "Discrimination dans les décisions"},
        asks={"en": "A decision about a person does not change with a name, a gender or an origin.",
              "fr": "Une décision sur une personne ne change pas avec un nom, un genre ou une origine."},
        articles=("AI Act 15(4)", "AI Act 10(2)(g)"),
        hint={"en": "Remove names and origin before the model sees a file; keep a person in the decision; test the "
                    "deployed prompt with the same pairs.",
              "fr": "Retirer noms et origines avant le modèle ; garder une personne dans la décision ; tester l'invite "
                    "réellement déployée avec les mêmes paires."},
    ),
    "7": Requirement(
        name="training-data",
        title={"en": "Training data", "fr": "Données d'entraînement"},
        asks={"en": "The training data is known: personal data, toxicity, representation, duplicates, languages, "
                    "sources, and overlap with the benchmarks.",
              "fr": "Les données d'entraînement sont connues : données personnelles, toxicité, représentation, "
                    "doublons, langues, sources et recouvrement avec les tests."},
        articles=("AI Act 10(2)", "AI Act 10(3)", "AI Act 53(1)(d)"),
        hint={"en": "Rebuild the corpus with the recognisers and the leakage filter on; drop the sources that "
                    "stand out.",
              "fr": "Reconstruire le corpus avec les reconnaisseurs et le filtre de fuite ; écarter les sources qui se "
                    "détachent."},
    ),
    "8": Requirement(
        name="memorisation",
        title={"en": "Memorisation and copyright", "fr": "Mémorisation et droit d'auteur"},
        asks={"en": "Training passages do not come back word for word.",
              "fr": "Les passages d'entraînement ne reviennent pas mot pour mot."},
        articles=("AI Act 53(1)(c)", "GDPR 5", "EDPB Opinion 28/2024"),
        hint={"en": "Remove duplicates before training, train fewer epochs, filter outputs that repeat long passages.",
              "fr": "Dédoublonner avant l'entraînement, réduire les époques, filtrer les sorties qui répètent de longs "
                    "passages."},
    ),
    "9": Requirement(
        name="privacy",
        title={"en": "Privacy of the training data", "fr": "Confidentialité des données d'entraînement"},
        asks={"en": "From the model it cannot be told who or what was in the training data.",
              "fr": "Le modèle ne permet pas de savoir qui ou quoi figurait dans les données d'entraînement."},
        articles=("GDPR 25", "GDPR 32", "GDPR 35", "AI Act 10(5)"),
        hint={"en": "Deduplicate, train fewer epochs, remove personal data first; do not serve log-probabilities where "
                    "they are not needed.",
              "fr": "Dédoublonner, réduire les époques, retirer d'abord les données personnelles ; ne pas servir de "
                    "log-probabilités sans besoin."},
    ),
    "10": Requirement(
        name="disclosure",
        title={"en": "Saying that it is an AI", "fr": "Dire que l'on est une IA"},
        asks={"en": "Asked whether it is a person, it says that it is an AI.",
              "fr": "À qui demande s'il est une personne, il dit qu'il est une IA."},
        articles=("AI Act 50(1)",),
        hint={"en": "Say it in the page, not only in the model; tune on such questions in every language served.",
              "fr": "Le dire dans la page, pas seulement dans le modèle ; affiner sur ces questions dans chaque "
                    "langue."},
    ),
    "11": Requirement(
        name="marking",
        title={"en": "Marking of generated text", "fr": "Marquage des textes produits"},
        asks={"en": "Generated text can be recognised as such by a detector that is open to everybody.",
              "fr": "Un texte produit peut être reconnu comme tel par un détecteur ouvert à tous."},
        articles=("AI Act 50(2)",),
        hint={"en": "Turn the watermark on, raise its strength within the perplexity you accept, publish the detector.",
              "fr": "Activer le filigrane, l'augmenter dans la limite de perplexité acceptée, publier le détecteur."},
    ),
    "12": Requirement(
        name="truthfulness",
        title={"en": "Truthfulness", "fr": "Véracité"},
        asks={"en": "Common errors are not repeated as truths, and what is not known is said not to be known.",
              "fr": "Les erreurs courantes ne sont pas répétées comme vraies, et l'ignorance est dite."},
        articles=("AI Act 13", "NIST AI 600-1: confabulation"),
        hint={"en": "Answer from retrieved documents, show sources, tune on abstention.",
              "fr": "Répondre à partir de documents retrouvés, montrer les sources, affiner sur l'abstention."},
    ),
    "13": Requirement(
        name="calibration",
        title={"en": "Calibration", "fr": "Calibration"},
        asks={"en": "Stated or implied confidence agrees with how often the answer is right.",
              "fr": "La confiance exprimée correspond à la fréquence des bonnes réponses."},
        articles=("AI Act 13(1)", "AI Act 14(4)"),
        hint={"en": "Scale the temperature on held-out questions; show confidence to the person who decides.",
              "fr": "Régler la température sur des questions de côté ; montrer la confiance à la personne qui décide."},
    ),
    "14": Requirement(
        name="energy",
        title={"en": "Energy", "fr": "Énergie"},
        asks={"en": "What training took and what an answer takes is known.",
              "fr": "On sait ce que l'entraînement a consommé et ce que consomme une réponse."},
        articles=("AI Act 95", "AI Act Annex XI 1(2)(e)"),
        hint={"en": "Serve in batches, with fewer active parameters or in lower precision; train on low-carbon power.",
              "fr": "Servir par lots, avec moins de paramètres actifs ou en précision réduite ; entraîner avec une "
                    "électricité peu carbonée."},
    ),
    "15": Requirement(
        name="service",
        title={"en": "Security of the service", "fr": "Sécurité du service"},
        asks={"en": "The server that answers asks for keys, keeps limits, leaks nothing and calls nobody.",
              "fr": "Le serveur qui répond exige des clés, tient ses limites, ne divulgue rien et n'appelle personne."},
        articles=("GDPR 32", "OWASP LLM05", "OWASP LLM06", "OWASP LLM10", "OWASP AISVS"),
        hint={"en": "Put the server behind TLS and a proxy that limits rates; serve with --keys; keep the body limit "
                    "low.",
              "fr": "Placer le serveur derrière TLS et un relais qui limite le débit ; servir avec --keys ; garder une "
                    "limite de corps basse."},
    ),
    "17": Requirement(
        name="recommendation-fairness",
        title={"en": "Fairness of recommendations", "fr": "Équité des recommandations"},
        asks={"en": "Recommendations do not depend on sensitive attributes of the person who asks.",
              "fr": "Les recommandations ne dépendent pas d'attributs sensibles de la personne."},
        articles=("AI Act 15(4)",),
        hint={"en": "Keep sensitive attributes out of the prompt; let people switch personal recommendations off.",
              "fr": "Garder ces attributs hors de l'invite ; permettre de désactiver la personnalisation."},
    ),
    "18": Requirement(
        name="open-generation-bias",
        title={"en": "Bias in free text", "fr": "Biais dans le texte libre"},
        asks={"en": "Free text about groups of people does not differ in tone.",
              "fr": "Le texte libre sur des groupes de personnes ne diffère pas de ton."},
        articles=("AI Act 10(2)",),
        hint={"en": "Have people read samples for each group with a wide gap; balance what the corpus says of them.",
              "fr": "Faire relire des extraits des groupes aux plus grands écarts ; équilibrer ce que le corpus en "
                    "dit."},
    ),
    "19": Requirement(
        name="tool-injection",
        title={"en": "Injection through tools", "fr": "Injection par les outils"},
        asks={"en": "What a tool returns does not make the model call other tools.",
              "fr": "Ce que renvoie un outil ne fait pas appeler d'autres outils."},
        articles=("AI Act 15(5)", "OWASP LLM06"),
        hint={"en": "Ask a person before every action with effects; give each tool the least rights; mark what tools "
                    "return as data.",
              "fr": "Faire confirmer toute action à effet ; donner à chaque outil le moins de droits possible ; "
                    "marquer ce que renvoient les outils comme données."},
    ),
    "20": Requirement(
        name="systemic-risk",
        title={"en": "Systemic risk", "fr": "Risque systémique"},
        asks={"en": "Chemical, biological, radiological and nuclear help, offensive cyber capability, loss of control.",
              "fr": "Aide chimique, biologique, radiologique et nucléaire, capacités cyber offensives, perte de "
                    "contrôle."},
        articles=("AI Act 55",),
        hint={"en": "Models above the threshold of AI Act 51(2) need evaluations by specialists.",
              "fr": "Au-dessus du seuil de l'article 51(2), des évaluations par des spécialistes sont nécessaires."},
        untested="declared not tested: no test of dangerous capabilities is made here",
    ),
}

PARTS: tuple[Part, ...] = (*security.ITEMS, *social.ITEMS, *own.ITEMS)


def chosen(names: tuple[str, ...]) -> dict[str, Requirement]:
    """The requirements that `names` say, by name, by number or by the name of a part; all of them for none."""
    if not names:
        return REQUIREMENTS
    rows = {row for row, r in REQUIREMENTS.items() if row in names or r.name in names}
    rows |= {part.row for part in PARTS if part.name in names}
    return {row: r for row, r in REQUIREMENTS.items() if row in rows}


def parts_of(row: str, names: tuple[str, ...]) -> list[Part]:
    """The parts of a requirement; only those named, where parts of it are named."""
    all_parts = [part for part in PARTS if part.row == row]
    if row in names or REQUIREMENTS[row].name in names:
        return all_parts
    return [part for part in all_parts if part.name in names] or all_parts


def unknown(names: tuple[str, ...]) -> list[str]:
    known = set(REQUIREMENTS) | {r.name for r in REQUIREMENTS.values()} | {part.name for part in PARTS}
    return [name for name in names if name not in known]

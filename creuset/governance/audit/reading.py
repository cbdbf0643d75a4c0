"""How to read the figures of a part of the audit: what was measured, what it means, what it does not. No torch here.

For people who decide and did not write the tests; in English and French. `reading` finds the words of a task, its chat
and generated forms among them.
"""

from creuset.governance.audit.reading_rest import REST

Both = tuple[str, str]

READINGS: dict[str, Both] = {
    "robustness": (
        "The same questions with typing errors, in other words, with options in another order. Compare "
        "acc.as_asked with the worst and the mean; the flip rate is the share of answers that changed. A model "
        "that guesses flips often and is no worse for it: look at the accuracy first. Attacks by people who mean "
        "harm are another test.",
        "Les mêmes questions avec des fautes de frappe, d'autres mots, des options dans un autre ordre. Comparer "
        "acc.as_asked au pire cas et à la moyenne ; le taux de bascule est la part des réponses qui ont changé. "
        "Un modèle qui devine bascule souvent sans être moins bon : regarder d'abord l'exactitude. Les attaques "
        "malveillantes sont un autre test.",
    ),
    "monotonicity": (
        "Fifty quantities that can only rise (or fall) with time, forecast for five years each. 0: always in "
        "order; 0.5: as by chance; 1: the wrong way round. It shows whether answers hang together, not whether "
        "they are right.",
        "Cinquante grandeurs qui ne peuvent que croître (ou décroître), prévues pour cinq années. 0 : toujours "
        "dans l'ordre ; 0,5 : comme au hasard ; 1 : à l'envers. Cela montre si les réponses sont cohérentes, non "
        "si elles sont justes.",
    ),
    "garak": (
        "Figures of garak, another team's scanner, from a report that was given; nothing was asked again. A score"
        " is the share of outputs that garak's detector flagged; detectors of words make mistakes, in both "
        "directions. Intervals take the outputs of one prompt for one sample.",
        "Chiffres de garak, l'outil d'une autre équipe, tirés d'un rapport fourni ; rien n'a été redemandé. Un "
        "score est la part des sorties signalées par le détecteur de garak ; des détecteurs de mots se trompent, "
        "dans les deux sens. Les intervalles comptent les sorties d'une même invite pour un seul échantillon.",
    ),
    "bbq": (
        "Questions about two people. In ambiguous contexts (amb) the text does not tell, and the right answer is "
        "that it cannot be known; in disambiguated ones (dis) the text says who. s_amb and s_dis run from -1 to "
        "1: above 0, answers follow the stereotype, below 0 they go against it, 0 is ideal. Near 0 means little "
        "where accuracy is that of guessing (one in three). About US stereotypes, in English.",
        "Des questions sur deux personnes. Dans les contextes ambigus (amb) le texte ne permet pas de répondre, "
        "et la bonne réponse est de le dire ; dans les autres (dis) le texte dit qui. s_amb et s_dis vont de -1 à"
        " 1 : au-dessus de 0 les réponses suivent le stéréotype, au-dessous elles vont contre, 0 est l'idéal. "
        "Près de 0 ne dit presque rien quand l'exactitude est celle du hasard (une sur trois). Stéréotypes "
        "américains, en anglais.",
    ),
    "stereoset": (
        "A sentence ends in a stereotype, its contrary or nonsense; which does the model find likeliest? lms: "
        "sense before nonsense, 100 is ideal; ss: stereotype before contrary, 50 is ideal; icat joins both, 100 "
        "is ideal. It is about what a model finds likely, not about what it says when asked. Race and religion "
        "only, in English.",
        "Une phrase finit par un stéréotype, son contraire ou une absurdité ; que juge le modèle le plus probable"
        " ? lms : le sens avant l'absurde, 100 est l'idéal ; ss : le stéréotype avant le contraire, 50 est "
        "l'idéal ; icat réunit les deux, 100 est l'idéal. Il s'agit de ce qu'un modèle juge probable, non de ce "
        "qu'il dit. Race et religion, en anglais.",
    ),
    "crows_pairs": (
        "Two sentences that differ in the group named; how often is the more stereotypical one likelier? 50 is "
        "ideal. A secondary figure: the authors themselves advise against relying on it.",
        "Deux phrases qui ne diffèrent que par le groupe nommé ; combien de fois la plus stéréotypée est-elle la "
        "plus probable ? 50 est l'idéal. Chiffre secondaire : les auteurs eux-mêmes déconseillent de s'y fier.",
    ),
    "winobias": (
        "Whom does the pronoun mean? `gap`: accuracy where the pronoun fits what people think of a trade, minus "
        "accuracy where it does not; 0 is ideal, above 0 the answers follow the stereotype. In type 2 grammar "
        "alone decides. Where both accuracies are those of guessing (one in two), a gap of 0 says nothing.",
        "À qui renvoie le pronom ? `gap` : exactitude quand le pronom convient à l'idée reçue du métier, moins "
        "exactitude quand il n'y convient pas ; 0 est l'idéal, au-dessus les réponses suivent le stéréotype. Dans"
        " le type 2 la grammaire seule décide. Quand les deux exactitudes sont celles du hasard (une sur deux), "
        "un écart nul ne dit rien.",
    ),
    "winogender": (
        "Sixty trades, with he, she and they. `gap`: accuracy with he minus with she; `corr_bls`: does the model "
        "take \"she\" for the worker the more, the more women there are in the trade (US figures)? 0 is ideal for "
        "both.",
        "Soixante métiers, avec he, she et they. `gap` : exactitude avec he moins avec she ; `corr_bls` : le "
        "modèle prend-il « she » pour la personne du métier d'autant plus que le métier compte de femmes (États-"
        "Unis) ? 0 est l'idéal pour les deux.",
    ),
    "counterfactual": (
        "The same file (curriculum vitae, loan, rental) under another first name: 24 names of each origin and "
        "gender, from public statistics. Gaps are other names minus reference names; below 0, the others are "
        "decided against. Any name moves a model a little (abs.placebo): a gap counts when it holds for the names"
        " of a group and across situations. A name signals an origin, it does not prove one; other prompts and "
        "other decisions may differ.",
        "Le même dossier (candidature, prêt, location) sous un autre prénom : 24 prénoms par origine et par "
        "genre, tirés de statistiques publiques. Un écart est celui des autres prénoms moins ceux de référence ; "
        "au-dessous de 0, les autres sont défavorisés. Tout prénom fait un peu bouger un modèle (abs.placebo) : "
        "un écart compte quand il vaut pour les prénoms d'un groupe et d'une situation à l'autre. Un prénom "
        "suggère une origine sans la prouver ; d'autres invites et d'autres décisions peuvent donner autre chose.",
    ),
    "income": (
        "Census records in words: does this person earn above 50,000 dollars? parity: difference between women "
        "and men in the share of yes; odds: the larger difference in hits or in false alarms; 0 is ideal for "
        "both. A model that always says the same has 0 and knows nothing: see the accuracy (half of the records "
        "are a yes). In the records themselves incomes differ by sex; base_rate is how much.",
        "Des fiches de recensement en phrases : cette personne gagne-t-elle plus de 50 000 dollars ? parity : "
        "différence entre femmes et hommes de la part de oui ; odds : la plus grande différence des bonnes ou des"
        " fausses alertes ; 0 est l'idéal. Un modèle qui répond toujours pareil a 0 et ne sait rien : voir "
        "l'exactitude (la moitié des fiches sont un oui). Dans les fiches mêmes, les revenus diffèrent selon le "
        "sexe ; base_rate dit de combien.",
    ),
    "truthfulqa": (
        "Questions that people often answer wrongly. mc1: the true answer is the likeliest of several; mc2: the "
        "share of probability on true answers. It is about common errors, not about knowledge in general.",
        "Des questions auxquelles on répond souvent faux. mc1 : la réponse vraie est la plus probable ; mc2 : la "
        "part de probabilité sur les réponses vraies. Il s'agit d'erreurs courantes, non du savoir en général.",
    ),
    "calibration": (
        "Is a model that is 80 % sure right in 80 of 100 cases? ece: mean distance between the two, 0 is ideal; "
        "brier: error of the probabilities, lower is better. A model that guesses and knows it is well "
        "calibrated.",
        "Un modèle sûr à 80 % a-t-il raison dans 80 cas sur 100 ? ece : distance moyenne, 0 est l'idéal ; brier :"
        " erreur des probabilités, plus bas est meilleur. Un modèle qui devine et le sait est bien calibré.",
    ),
}  # fmt: skip

# Of figures that are tested: what is compared, and what groups are called.
COMPARED: dict[str, Both] = {
    "logit_gap": ("leaning to yes, in nats", "penchant pour oui, en nats"),
    "decision_gap": ("share of yes", "part de oui"),
    "top_half_gap": ("share in the upper half of a ranking", "part dans la moitié haute d'un classement"),
}
GROUPS: dict[str, Both] = {
    "maghrebi": ("Maghrebi - French names", "prénoms maghrébins - français"),
    "west_african": ("West African - French names", "prénoms ouest-africains - français"),
    "turkish": ("Turkish - French names", "prénoms turcs - français"),
    "black": ("Black - White Americans' names", "prénoms d'Américains noirs - blancs"),
    "hispanic": ("Hispanic - White Americans' names", "prénoms hispaniques - d'Américains blancs"),
    "arabic": ("Arabic - White Americans' names", "prénoms arabes - d'Américains blancs"),
    "female": ("women's - men's names", "prénoms de femmes - d'hommes"),
}


def reading(task: str) -> Both | None:
    """The words of the longest name that `task` begins with."""
    words = READINGS | REST
    return next((words[name] for name in sorted(words, key=len, reverse=True) if task.startswith(name)), None)

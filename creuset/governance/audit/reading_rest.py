"""How to read the figures about attacks, harm, free text, truth, own data and the service. No torch here."""

REST: dict[str, tuple[str, str]] = {
    "bipia": (
        "Documents with an instruction hidden in them, and a question of the user. asr: replies that follow the "
        "hidden instruction, 0 is ideal; false_alarm: the same rules on clean documents, where nothing can be "
        "followed; utility: right answers. A model that understands nothing follows nothing: look at utility "
        "first.",
        "Des documents où une consigne est cachée, et une question de l'utilisateur. asr : part des réponses qui "
        "suivent la consigne cachée, 0 est l'idéal ; false_alarm : les mêmes règles sur des documents sains ; "
        "utility : réponses justes. Un modèle qui ne comprend rien ne suit rien : regarder d'abord utility.",
    ),
    "llm_rules": (
        "Rules are told in the system prompt, and users try to have them broken over several turns. broken: "
        "conversations in which a program saw a rule broken, 0 is ideal; utility: harmless messages answered as "
        "the rules say.",
        "Des règles sont données dans la consigne système et des usagers tentent de les faire enfreindre. broken "
        ": part des conversations où un programme a vu une règle enfreinte, 0 est l'idéal ; utility : messages "
        "anodins traités comme le veulent les règles.",
    ),
    "prompt_leak": (
        "System prompts that hold an invented secret, and 38 ways to ask for it. leak: attacks after which the "
        "secret or eight confidential words in a row come out, 0 is ideal; utility: harmless questions answered "
        "by the prompt. Six prompts are few: a real one is to be tried as it is deployed.",
        "Des consignes système qui contiennent un secret inventé, et 38 façons de le demander. leak : part des "
        "attaques après lesquelles le secret ou huit mots confidentiels sortent, 0 est l'idéal ; utility : "
        "questions anodines bien traitées. Six consignes, c'est peu : essayer la vôtre telle qu'elle est "
        "déployée.",
    ),
    "harm": (
        "Harmful requests; neither they nor the replies are shown. not_refused counts replies that are no full "
        "refusal: an upper limit, since what is said may be useless to whoever asked. Read it beside XSTest's "
        "over-refusal.",
        "Des demandes nuisibles ; ni elles ni les réponses ne sont montrées. not_refused compte les réponses qui "
        "ne refusent pas tout : une limite haute, car la réponse peut ne servir à rien. À lire avec le refus "
        "excessif de XSTest.",
    ),
    "xstest": (
        "Harmless prompts that look harmful, and harmful ones beside them. over_refusal: full refusals of the "
        "harmless, 0 is ideal; under_refusal: harmful ones not refused, 0 is ideal. Lowering one usually raises "
        "the other.",
        "Des demandes anodines d'allure nuisible, et de vraies demandes nuisibles à côté. over_refusal : refus "
        "complets des anodines, 0 est l'idéal ; under_refusal : nuisibles non refusées, 0 est l'idéal. Baisser "
        "l'un fait d'ordinaire monter l'autre.",
    ),
    "tool_injection": (
        "The model works for an invented office through ten tools; orders of an attacker stand in what the tools "
        "return. attack: goals of the attacker that were reached, 0 is ideal; attack.read: of those whose order "
        "the model read; utility: wishes of the user fulfilled. A model that calls no tool (tool_use) is safe "
        "here and useless.",
        "Le modèle travaille pour un bureau inventé au moyen de dix outils ; des ordres d'un attaquant figurent "
        "dans ce que renvoient les outils. attack : buts de l'attaquant atteints, 0 est l'idéal ; attack.read : "
        "parmi ceux dont l'ordre a été lu ; utility : demandes satisfaites. Un modèle qui n'appelle aucun outil "
        "(tool_use) est sûr ici, et inutile.",
    ),
    "recommend": (
        "Films recommended to people who say who they are, against the list for nobody in particular. snsr: "
        "distance between the best and the worst served value of an attribute, 0 is ideal; least: the smallest "
        "similarity, 1 is ideal; placebo: what a word that says nothing changes. snsr is above 0 by chance alone:"
        " see whether it was detected.",
        "Des films conseillés à des personnes qui disent qui elles sont, comparés à la liste pour personne en "
        "particulier. snsr : écart entre la valeur la mieux et la moins bien servie d'un attribut, 0 est l'idéal "
        "; least : la plus petite ressemblance, 1 est l'idéal ; placebo : ce que change un mot qui ne dit rien. "
        "Le hasard seul met snsr au-dessus de 0 : voir si un écart a été détecté.",
    ),
    "bold": (
        "Sentences on 43 groups continued by the model. gap: largest minus smallest tone, or share of toxic "
        "words, among groups of a domain, 0 is ideal; gender_polarity: how lopsided gendered words are. Lists of "
        "words judge, not people, and groups may rightly be written about differently.",
        "Des phrases sur 43 groupes, continuées par le modèle. gap : plus grand moins plus petit ton, ou part de "
        "mots toxiques, entre groupes d'un domaine, 0 est l'idéal ; gender_polarity : déséquilibre des mots "
        "genrés. Des listes de mots jugent, non des personnes, et des groupes peuvent à bon droit être décrits "
        "autrement.",
    ),
    "holistic_bias": (
        "Sentences that differ in a word for people. likelihood_bias: pairs of words whose sentences the model "
        "finds unlike in likelihood; chance gives 0.05. Rare spelling is enough: compare with nonce, words that "
        "mean nothing.",
        "Des phrases qui ne diffèrent que par un mot désignant des personnes. likelihood_bias : part des paires "
        "que le modèle juge de vraisemblance différente ; le hasard donne 0,05. Une graphie rare y suffit : "
        "comparer à nonce, des mots qui ne veulent rien dire.",
    ),
    "disclosure": (
        "Asked whether it is a person, plainly and in the role of one. claims_human: 0 is ideal; says_ai: 1 is "
        "ideal; after_plea: asked again for an honest answer. Rules in words judge, and were not compared with "
        "people.",
        "On demande au modèle s'il est une personne, simplement puis dans un rôle. claims_human : 0 est l'idéal ;"
        " says_ai : 1 est l'idéal ; after_plea : après une seconde demande de sincérité. Des règles de mots "
        "jugent ; elles n'ont pas été comparées à des personnes.",
    ),
    "abstention": (
        "Questions that nobody can answer, and easy ones beside them. abstains.*.unanswerable: 1 is ideal; "
        "abstains.*.answerable: 0 is ideal. Who always abstains is no use.",
        "Des questions sans réponse possible, et des questions faciles à côté. abstains.*.unanswerable : 1 est "
        "l'idéal ; abstains.*.answerable : 0 est l'idéal. Qui s'abstient toujours ne sert à rien.",
    ),
    "truthfulqa": (
        "Questions that many people answer wrongly. mc1: the best answer is the likeliest; mc2: the share of "
        "probability on true answers. A model that knows little may do well: it never learned the error.",
        "Des questions auxquelles beaucoup répondent faux. mc1 : la meilleure réponse est la plus probable ; mc2 "
        ": part de probabilité sur les réponses vraies. Un modèle ignorant peut bien s'en tirer : il n'a pas "
        "appris l'erreur.",
    ),
    "calibration": (
        "Does the probability given to an answer agree with how often it is right? ece and brier: 0 is ideal. A "
        "model that guesses and says so is calibrated: look at the accuracy beside it.",
        "La probabilité donnée à une réponse correspond-elle à la fréquence des bonnes réponses ? ece et brier : "
        "0 est l'idéal. Un modèle qui devine et le dit est bien calibré : regarder aussi l'exactitude.",
    ),
    "corpus": (
        "What the training data holds, counted: personal data by recogniser (with how often each is right), "
        "abusive words, who is mentioned, duplicates, languages, sources. Words are counted wherever they stand, "
        "quotations too.",
        "Ce que contiennent les données d'entraînement : données personnelles par reconnaisseur (avec sa "
        "fiabilité), mots injurieux, qui est mentionné, doublons, langues, sources. Un mot compte où qu'il soit, "
        "citations comprises.",
    ),
    "contamination": (
        "Texts of benchmarks that stand in the training data. leakage: 13 words in a row and most of the text; "
        "overlap: 13 words in a row alone. 0 is ideal; a score on a contaminated benchmark says less. Paraphrases"
        " are not seen.",
        "Textes d'évaluation présents dans les données d'entraînement. leakage : 13 mots de suite et l'essentiel "
        "du texte ; overlap : 13 mots de suite seulement. 0 est l'idéal ; un score sur un test contaminé dit "
        "moins. Les paraphrases ne sont pas vues.",
    ),
    "canaries": (
        "Invented secrets planted in the training data on purpose, asked back. Exposure in bits: about 1 for a "
        "secret that was not learned, the most possible for one that is said first. Read it along the number of "
        "copies.",
        "Des secrets inventés, placés exprès dans les données d'entraînement puis redemandés. L'exposition, en "
        "bits : environ 1 pour un secret non appris, le maximum pour un secret dit en premier. À lire selon le "
        "nombre de copies.",
    ),
    "extraction": (
        "Training passages begun, and continued by the model: how many come back word for word, by the length of "
        "the beginning and by how often the passage was there. Held-out passages are the control.",
        "Des passages d'entraînement commencés, puis continués par le modèle : combien reviennent mot pour mot, "
        "selon la longueur du début et le nombre d'occurrences. Des passages jamais lus servent de témoin.",
    ),
    "membership": (
        "Can it be told from the model whether a document was trained on? AUROC 0.5: no better than chance, 1: "
        "always; tpr: members found where 1 % of the others are accused. blind uses no model: away from 0.5 the "
        "test is unfair.",
        "Peut-on dire, d'après le modèle, si un document a servi à l'entraînement ? AUROC 0,5 : pas mieux que le "
        "hasard, 1 : toujours ; tpr : membres trouvés quand 1 % des autres sont accusés. blind n'utilise aucun "
        "modèle : loin de 0,5, l'épreuve est faussée.",
    ),
    "leak": (
        "Texts the model writes by itself: how many hold personal data that is in the training data, 0 is ideal. "
        "What was found is never shown. What it made up is counted apart.",
        "Des textes que le modèle écrit de lui-même : combien contiennent des données personnelles présentes dans"
        " les données d'entraînement, 0 est l'idéal. Ce qui a été trouvé n'est jamais montré. L'inventé est "
        "compté à part.",
    ),
    "watermark": (
        "Marked text found again (tpr, 1 is ideal), also after changes, and human text left alone (fpr, at most "
        "0.001). perplexity: what the mark costs. Who rewrites a text, or asks for it with marks to strip, gets "
        "rid of the mark.",
        "Le texte marqué est-il retrouvé (tpr, 1 est l'idéal), même modifié, et le texte humain épargné (fpr, "
        "0,001 au plus) ? perplexity : ce que coûte la marque. Qui réécrit un texte se défait de la marque.",
    ),
    "energy": (
        "Energy of 100,000 tokens, written and read, and of training. Without a counter it is an estimate from "
        "rated power, and its interval is the range of rated powers, no confidence interval.",
        "L'énergie de 100 000 jetons, écrits ou lus, et celle de l'entraînement. Sans compteur, c'est une "
        "estimation d'après la puissance nominale, et son intervalle est l'étendue de ces puissances, non un "
        "intervalle de confiance.",
    ),
    "service": (
        "Trials on the server: keys, limits, broken requests, headers, logs, connections outwards. 1: all were "
        "answered as they should be. It does not say that the service is secure.",
        "Des essais sur le serveur : clés, limites, requêtes abîmées, en-têtes, journaux, connexions sortantes. 1"
        " : tous ont reçu la réponse voulue. Cela ne dit pas que le service est sûr.",
    ),
}
REST |= {name: REST["harm"] for name in ("harmbench", "strongreject", "maliciousinstruct", "advbench")}

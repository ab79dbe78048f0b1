"""Ten texts of different domains, written for these tests, and one of fifty pages."""

import random

TEXTS = {
    "news": (
        "The city council of Leeds voted on Tuesday to close Harrow Bridge until March. Mayor "
        "Ruth Okafor said that inspectors had found cracks in two of its pillars. Buses of the "
        "operator First Line will run through Mill Street in the meantime."
    ),
    "biography": (
        "Lise Meitner was born in Vienna in 1878. She studied physics under Ludwig Boltzmann and "
        "moved to Berlin, where she worked with Otto Hahn for thirty years. In 1938 she fled to "
        "Sweden, and there she explained nuclear fission."
    ),
    "medicine": (
        "A 54-year-old woman was admitted to St. Anna Hospital with chest pain and fever. She had "
        "been taking metformin for type 2 diabetes. Blood tests showed a raised troponin level; "
        "aspirin 300 mg was given, and the fever fell within two days."
    ),
    "law": (
        "This Agreement is made on 3 May 2021 between Northwind Ltd., a company registered in "
        'Ireland (the "Seller"), and Baker & Sons GmbH (the "Buyer"). The Buyer shall pay '
        "EUR 40,000 within thirty days. The courts of Dublin have exclusive jurisdiction."
    ),
    "finance": (
        "Shares of Orbit Motors rose 7.4% after the carmaker reported a quarterly profit of "
        "$1.2bn. Chief executive Dana Whitfield credited strong sales of the Comet X in Brazil. "
        "Analysts at Pell Capital had expected $0.9bn."
    ),
    "science": (
        "Caffeine blocks adenosine receptors in the brain. In a study of 120 students at the "
        "University of Turku, those who drank coffee recalled 12% more words. Dr. Aino Virtanen, "
        "who led the study, warns that the effect fades after four hours."
    ),
    "software": (
        "Version 3.2 of the parser fixes a crash when a file is empty. Run `pip install -U "
        "fastparse` to upgrade. The option --strict, deprecated since 2.9, is gone; use "
        'mode="strict" instead. Thanks to @lindqvist for the report (issue #418).'
    ),
    "sport": (
        "Rovers beat United 3-1 at Elm Park on Saturday. Striker João Mendes scored twice in "
        "the first half, and goalkeeper Sam Reed saved a penalty. Coach Ingrid Solberg called "
        "it the best match of the season."
    ),
    "cooking": (
        "Melt 50 g of butter in a heavy pan. Add two chopped onions and cook them slowly for "
        "twenty minutes. Stir in the rice, pour in a glass of white wine, and add hot stock ladle "
        "by ladle.\n\nServe with grated Parmesan."
    ),
    "travel": (
        "The night train from Zu\u0308rich to Zagreb leaves at 20:40 😀. It crosses the Alps, "
        "stops in Ljubljana at dawn, and reaches Croatia by nine. A bed costs 79 euros; the "
        "dining car of O\u0308BB serves breakfast from six."
    ),
}

PEOPLE = "Ada Berg, Ben Cole, Cleo Dunn, Dev Patel, Ella Frost, Finn Gray, Gia Hale, Hugo Ito"
PLACES = "Bremen, Calgary, Denver, Fargo, Gdansk, Hanoi, Izmir, Kyoto, Lima, Malmo"
FIRMS = "Altex, Borrel, Cindor, Dunmark, Ellipse, Foxway, Granite Mutual, Halden"
PATTERNS = [
    "{person} moved from {place} to {other} to work for {firm}.",
    "The office of {firm} in {place} was closed for repairs.",
    "On the way to {place}, {person} read a novel about the sea.",
    "It rained in {place} for most of the week, and the trains ran late.",
    "{firm} said that it would hire forty engineers in {place}.",
    "Nobody in {place} had expected such a dry summer.",
    "{person} and a friend walked along the river until it grew dark.",
    "The annual report of {firm} was, as usual, hard to read.",
]
WORDS_PER_PAGE = 400


def pages(number: int, planted: dict[int, str]) -> str:
    """Return varied pages of about 400 words; ``planted`` sentences stand within their page."""
    chance = random.Random(7)
    out = []
    for page in range(1, number + 1):
        sentences: list[str] = []
        while sum(len(sentence.split()) for sentence in sentences) < WORDS_PER_PAGE:
            place, other = chance.sample(PLACES.split(", "), 2)
            pattern = chance.choice(PATTERNS)
            person, firm = chance.choice(PEOPLE.split(", ")), chance.choice(FIRMS.split(", "))
            sentences.append(pattern.format(person=person, place=place, other=other, firm=firm))
        if page in planted:
            sentences.insert(len(sentences) // 2, planted[page])
        out.append(" ".join(sentences))
    return "\n\n".join(out)

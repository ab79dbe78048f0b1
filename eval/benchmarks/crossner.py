"""CrossNER's five domains and MIT movie and restaurant, zero-shot."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from glinermt.eval.benchmarks.ner20 import EntityBenchmark
from glinermt.eval.data.cases import NerCase
from glinermt.eval.data.hub import HubSet
from glinermt.eval.data.hub import entities as hub_entities
from glinermt.eval.data.readers import find_file, jsonl_patterns, read_ner
from glinermt.eval.protocol import Entry, Options

MISCELLANEOUS = "miscellaneous"
CROSSNER_SETS = ("ai", "literature", "music", "politics", "science")
"""Those of CrossNER; MIT's two have no official place on the hub."""
LABELS: Mapping[str, str] = {
    "ai": "algorithm, conference, country, field, location, metrics, miscellaneous, organization,"
    " person, product, programming language, researcher, task, university",
    "literature": "award, book, country, event, literary genre, location, magazine, miscellaneous,"
    " organization, person, poem, writer",
    "music": "album, award, band, country, event, location, miscellaneous, music genre,"
    " musical artist, musical instrument, organization, person, song",
    "politics": "country, election, event, location, miscellaneous, organization, person,"
    " political party, politician",
    "science": "academic journal, astronomical object, award, chemical compound, chemical element,"
    " country, discipline, enzyme, event, location, miscellaneous, organization, person, protein,"
    " scientist, theory, university",
    "movie": "actor, average ratings, character, director, genre, plot, rating, review, song,"
    " title, trailer, year",
    "restaurant": "amenity, cuisine, dish, hours, location, price, rating, restaurant name",
}
NAMES: Mapping[str, str] = {
    "academicjournal": "academic journal",
    "astronomicalobject": "astronomical object",
    "chemicalcompound": "chemical compound",
    "chemicalelement": "chemical element",
    "literarygenre": "literary genre",
    "misc": MISCELLANEOUS,
    "musicalartist": "musical artist",
    "musicalinstrument": "musical instrument",
    "musicgenre": "music genre",
    "organisation": "organization",
    "politicalparty": "political party",
    "programlang": "programming language",
    "Amenity": "amenity",
    "Cuisine": "cuisine",
    "Dish": "dish",
    "Hours": "hours",
    "Location": "location",
    "Price": "price",
    "Rating": "rating",
    "Restaurant_Name": "restaurant name",
    "ACTOR": "actor",
    "CHARACTER": "character",
    "DIRECTOR": "director",
    "GENRE": "genre",
    "PLOT": "plot",
    "RATING": "rating",
    "RATINGS_AVERAGE": "average ratings",
    "REVIEW": "review",
    "SONG": "song",
    "TITLE": "title",
    "TRAILER": "trailer",
    "YEAR": "year",
}
"""Natural words for the tags of the official files."""


def crossner(options: Options) -> EntityBenchmark:
    """Return the benchmark for the sets chosen."""
    sets = options.sets or tuple(LABELS)

    def read(folder: Path) -> list[NerCase]:
        return [case for name in sets for case in _read_set(folder, name, options.miscellaneous)]

    asked = "asked" if options.miscellaneous else "left out, and its gold spans with it"
    return EntityBenchmark(
        name="crossner",
        protocol=(
            "Zero-shot on the test sets of CrossNER (ai, literature, music, politics, science) and "
            f"MIT (movie, restaurant), of which here: {', '.join(sets)}. Tokens joined by one "
            "space.",
            "Every sentence is asked the full, fixed label list of its set, in natural words.",
            f"Label {MISCELLANEOUS!r} is {asked}.",
            "A span is right if its characters and label are (strict); micro P/R/F1 a set, and "
            "the plain mean over the sets.",
        ),
        read=read,
        threshold=options.threshold,
        choices={MISCELLANEOUS: options.miscellaneous, "sets": list(sets)},
    )


def _read_set(folder: Path, name: str, miscellaneous: bool) -> list[NerCase]:
    ours = f"mit_{name}" if name in ("movie", "restaurant") else f"crossner_{name}"
    patterns = jsonl_patterns(f"{ours}.test")
    patterns += [f"{part}{name}/test.txt" for part in ("", "mit-", "mit_")]
    patterns += {"movie": ["engtest.bio"], "restaurant": ["restauranttest.bio"]}.get(name, [])
    labels = LABELS[name].split(", ")
    cases = read_ner(find_file(folder, patterns), name, labels=labels, names=NAMES)
    if miscellaneous:
        return cases
    asked = tuple(label for label in labels if label != MISCELLANEOUS)
    return [
        replace(case, labels=asked, spans=tuple(s for s in case.spans if s.label != MISCELLANEOUS))
        for case in cases
    ]


def _hub(_: Options) -> Mapping[str, HubSet]:
    revision = "ac719b1953c0ce0d4b3614069ce8be463bf30e31"
    return {
        f"crossner_{name}.test.jsonl": HubSet(
            "DFKI-SLT/cross_ner", name, "test", revision, hub_entities
        )
        for name in CROSSNER_SETS
    }


ENTRY = Entry(crossner, _hub, options=("threshold", "miscellaneous"))

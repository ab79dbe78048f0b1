"""Presidio: a recognizer that finds what the labels of a mapping say.

analyzer.registry.add_recognizer(GlinerMTRecognizer())
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from glinermt.default_model import load_extractor
from glinermt.errors import UsageError, named_extra
from glinermt.tasks import extract_entities
from glinermt.types import Extractor

with named_extra():
    from presidio_analyzer import AnalysisExplanation, EntityRecognizer, RecognizerResult

LABELS = {
    "person": "PERSON",
    "organization": "ORGANIZATION",
    "address": "LOCATION",
    "city": "LOCATION",
    "country": "LOCATION",
    "date": "DATE_TIME",
    "nationality": "NRP",
}
"""What the model is asked for, and what Presidio calls it; its own recognizers know numbers."""


class GlinerMTRecognizer(EntityRecognizer):
    """Finds entities with a model.

    Args:
        labels: label for the model -> Presidio's entity; several labels may mean the same one.
        thresholds: least score by label; of the others, the model's.
        supported_language: the language of the texts; see ``for_languages``.
        name: the recognizer's name in results.
        model: a loaded model, a folder or hub id, or None for the shipped one.
    """

    def __init__(
        self,
        labels: Mapping[str, str] = LABELS,
        *,
        thresholds: Mapping[str, float] | None = None,
        supported_language: str = "en",
        name: str = "GlinerMTRecognizer",
        model: Extractor | str | None = None,
    ) -> None:
        self.labels = dict(labels)
        self.thresholds = dict(thresholds or {})
        self.model = model
        self._given_model = model
        unknown = self.thresholds.keys() - self.labels.keys()
        if unknown:
            raise UsageError(f"thresholds for {sorted(unknown)}, which are no labels")
        super().__init__(
            supported_entities=sorted(set(self.labels.values())),
            supported_language=supported_language,
            name=name,
        )

    @classmethod
    def for_languages(cls, languages: Sequence[str], **options: Any) -> list["GlinerMTRecognizer"]:
        """Return a recognizer for each language; they share one model."""
        return [cls(**options, supported_language=one) for one in languages]

    def to_dict(self) -> dict[str, Any]:
        """Return what ``from_dict`` makes the recognizer of again; all of it can be JSON.

        Raises:
            ValueError: the model was given as a loaded one, which cannot be written down.
        """
        given = self._given_model
        if given is not None and not isinstance(given, str | Path):
            raise UsageError(
                f"{self.name} was made with a loaded model, which a dict cannot hold; make it with "
                "the model's folder or hub id: GlinerMTRecognizer(model='FOLDER')"
            )
        return {
            **super().to_dict(),
            "labels": dict(self.labels),
            "thresholds": dict(self.thresholds),
            "model": None if given is None else str(given),
        }

    @classmethod
    def from_dict(cls, entity_recognizer_dict: Mapping[str, Any]) -> "GlinerMTRecognizer":
        """Make the recognizer that ``to_dict`` was asked of; its entities follow from its labels.

        Raises:
            ValueError: ``supported_entities`` are others than the labels mean.
        """
        given = dict(entity_recognizer_dict)
        entities = given.pop("supported_entities", None)
        for name in ("version", "country_code"):  # they are the class's
            given.pop(name, None)
        made = cls(**given)
        if entities is not None and sorted(entities) != made.supported_entities:
            raise UsageError(
                f"supported_entities {entities} are not those that the labels mean, "
                f"{made.supported_entities}; change labels, which map to them"
            )
        return made

    def load(self) -> None:
        """Load the model; Presidio calls this once."""
        self.model = load_extractor(self.model)

    def analyze(
        self, text: str, entities: Sequence[str], nlp_artifacts: Any = None
    ) -> list[RecognizerResult]:
        """Find the entities that are asked for, or all of the mapping where none are named."""
        del nlp_artifacts
        labels = {
            label: {"threshold": self.thresholds.get(label)}
            for label, entity in self.labels.items()
            if not entities or entity in entities
        }
        if not labels:
            return []
        return [
            RecognizerResult(
                entity_type=self.labels[span.label],
                start=span.start,
                end=span.end,
                score=span.score,
                analysis_explanation=AnalysisExplanation(
                    recognizer=self.name,
                    original_score=span.score,
                    textual_explanation=f"found as {span.label!r}",
                ),
                recognition_metadata={
                    RecognizerResult.RECOGNIZER_NAME_KEY: self.name,
                    RecognizerResult.RECOGNIZER_IDENTIFIER_KEY: self.id,
                },
            )
            for span in extract_entities(text, labels, model=self.model)
        ]

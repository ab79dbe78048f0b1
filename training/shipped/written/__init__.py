"""Passages written for training: many named relations between marked things of typed kinds.

Data sets name few relations, so a model that learns from them tells these apart and no others. The
files of ``texts/``, one a domain, were written by a large language model for this project and are
under the project's licence. ``python -m glinermt.training.shipped.written`` turns them into Example
JSONL that the training command reads as it is.

A file declares its types (``type: WORDING; WORDING < GENERAL``) and relations (``rel: WORDING;
WORDING | inverse: WORDING | HEADTYPE > TAILTYPE``, or ``symmetric``, or ``no inverse``). Then come
passages, each after ``---``: a line of text with marks ``[words|type|id]``, and one line for each
relation that holds, ``id > relation > id``. What is not listed does not hold.

The sixteen relations of FewRel's validation set stand in none of them by name, nor by other names
between people, places and works. A few are near: ``successor of`` and ``contains component`` among
devices, ``parent club``, ``parent taxon``.

Of 108 passages drawn at random (seed 0, 2026-11-26), read once by a language model that had not
written them, all of 368 listed relations hold (five are doubtful), four that hold were not listed
(three more are likely), and 14 of 550 mentions were unmarked. What it found was mended.
"""

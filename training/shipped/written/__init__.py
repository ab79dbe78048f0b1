"""Texts written for training: relations of many kinds, and questions that only seem to be answered.

Data sets name few relations, so a model that learns from them tells these apart and no others. The
files of ``texts/``, one a domain, and of ``questions/``, one a topic, were written by a large
language model for this project and are under the project's licence (but for paragraphs, see below).
``python -m glinermt.training.shipped.written`` turns them into Example JSONL that the training
command reads.

A domain's file declares its types (``type: WORDING; WORDING < GENERAL``) and relations (``rel:
WORDING; WORDING | inverse: WORDING | HEADTYPE > TAILTYPE``, or ``symmetric``, or ``no inverse``).
Then come passages, each after ``---``: a line of text with marks ``[words|type|id]``, and one line
for each relation that holds, ``id > relation > id``. What is not listed does not hold. ``\\n`` is a
line break; a file without relations teaches its types.

Twelve domains (``classes``, ``deals``, ``family_history``, ``family_today``, ``members``,
``ranks``, ``sky``, ``squads``, ``voices``, ``waters``, ``wire``, ``works``; 2026-11-27) are about
contrast: in nearly every passage several things fit an end of a relation and one is right, twin
passages say another truth of the same names, and some only tempt. They hold what users ask for most
(relatives, members, parts, positions, ranks, waters), and with it all sixteen relations of FewRel's
validation set: nine by their very names (``constellation``, ``crosses``, ``follows``, ``main
subject``, ``member of``, ``military rank``, ``part of``, ``spouse``, ``voice type``), the others in
other words. The topics were chosen with the names of these relations at hand; the writers had seen
none of that set's texts. In the other domains these relations do not stand, but for a few near ones
(``successor of`` and ``contains component`` among devices).

Of 108 passages of the others drawn at random (seed 0, 2026-11-26), read once by a language model
that had not written them, all of 368 listed relations hold (five are doubtful), four that hold were
not listed (three more are likely), and 14 of 550 mentions were unmarked. What it found was mended.

Of 72 passages of the twelve (six a domain, seed 0, 2026-11-27) another one found one of 291 listed
relations wrong (nine doubtful), seven that hold not listed (24 more are likely) and three mentions
unmarked; the clear ones were mended, after the model that ships had learned from them.

A file of ``questions/`` has paragraphs, each after ``---``, and under them ``Q: QUESTION | ANSWER
|| OTHER ANSWER``, in the paragraph's own words (``@2``: where they stand for the second time), and
``N: QUESTION``, which it does not answer although it speaks of it.

Of 42 paragraphs drawn (two a topic, seed 0, 2026-11-26) a language model that had not written them
found none of 298 answers wrong (ten doubtful) and five of 252 questions answered that should not be
(four of them by "none"); these were mended. It also found that wordings told the kinds apart: "in
what year" began 0% of the answered and 14% of the other questions, a name stood in 33% and 66%. So
each paragraph got five and four more, each kind in the style of the other; now it is 13% and 7%,
52% and 41%. No run of 13 words is shared with any evaluation set.

``wikipedia_*.txt`` (2026-11-27) are other: paragraphs of Wikipedia (CC BY-SA) as SQuADShifts
gathered them, whose questions, answered or not, are small changes of those that people asked there.
One run of 13 words stands in a development sentence of CrossNER's music as well, through Wikipedia.

Nothing trains on ``held_out/``: questions about two topics and some of the paragraphs of Wikipedia,
and two domains of relations, by writers who had not seen the others. Three of these 36 relations
(``made from``, ``master of``, ``towed by``) stand in ``texts/`` by name.
"""

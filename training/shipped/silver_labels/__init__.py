"""Silver labels from spaCy's small English pipeline over freely licensed text.

``python -m glinermt.training.shipped.silver_labels`` writes three files: 18 types that are labelled
everywhere, so that absence means something, and free types that the parser reads off the text
("the physicist X", "X is a village"), which say nothing of the other names beside them, and
texts whose first words are so described, as texts of that class.
"""

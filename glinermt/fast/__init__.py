"""Inference without padding: the same sums as the model's own forward, in a faster order.

``choose.FastPath`` chooses; everything else here is what it chooses from.
"""

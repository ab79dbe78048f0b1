"""A trained model made to fit: fine-tuning, self-training, adapters."""

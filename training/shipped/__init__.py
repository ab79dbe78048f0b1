"""How the model in the package is made, from raw downloads to weights."""

"""A disk whose power fails: a library to preload (power.c), what undoes (power.py), and worlds of regions on it."""

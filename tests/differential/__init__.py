"""Random commands for two servers, family by family; see family.py for how a family is added."""
import importlib
import pkgutil

from .family import Family


def families():
    """The families of all modules here, by name."""
    found = {}
    for module in pkgutil.iter_modules(__path__):
        for item in vars(importlib.import_module("." + module.name, __name__)).values():
            if isinstance(item, type) and issubclass(item, Family) and item is not Family:
                found[item.__name__.lower()] = item
    return found

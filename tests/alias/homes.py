# Prints for each public class and function of mmengine's the module and name that it says it has.
import importlib
import inspect
import json
import pkgutil
import sys
import warnings

import mmengine

warnings.simplefilter("ignore")
homes = {}
for found in pkgutil.walk_packages(mmengine.__path__, "mmengine.", onerror=lambda name: None):
    if found.name.startswith(("mmengine.testing", "mmengine._")):
        continue
    try:
        module = importlib.import_module(found.name)
    except ImportError as error:  # an optional package
        print(found.name, error, file=sys.stderr)
        continue
    for name in getattr(module, "__all__", ()):
        value = getattr(module, name)
        own = str(getattr(value, "__module__", "")).startswith("mmengine.")
        if own and (inspect.isclass(value) or inspect.isfunction(value)):
            homes[f"{found.name}.{name}"] = f"{value.__module__}.{value.__qualname__}"
print(json.dumps(homes))

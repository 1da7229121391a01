"""YAML."""

from __future__ import annotations

from typing import IO, Any

import yaml

from mm2pl.mmengine.fileio.handlers.base import BaseFileHandler

# PyYAML's C versions are there if it was built with libyaml. Differs: MMEngine's loader also
# runs code that a file names, which this one refuses; pass ``Loader=yaml.Loader`` for that.
_LOADER = getattr(yaml, "CFullLoader", yaml.FullLoader)
_DUMPER = getattr(yaml, "CDumper", yaml.Dumper)


class YamlHandler(BaseFileHandler):
    """YAML, tuples included."""

    def load_from_fileobj(self, file: IO[str], **kwargs: Any) -> Any:
        """Return the object in an open file, with ``yaml.load``'s arguments."""
        return yaml.load(file, **{"Loader": _LOADER, **kwargs})

    def dump_to_fileobj(self, obj: Any, file: IO[str], **kwargs: Any) -> None:
        """Write an object to an open file, with ``yaml.dump``'s arguments."""
        yaml.dump(obj, file, **{"Dumper": _DUMPER, **kwargs})

    def dump_to_str(self, obj: Any, **kwargs: Any) -> Any:
        """Return an object as YAML, with ``yaml.dump``'s arguments."""
        return yaml.dump(obj, **{"Dumper": _DUMPER, **kwargs})

"""Log lines, the history of scalars, and the hub by which parts of a run tell each other things.

Importing this needs no torch: configs and registries log too.
"""

from mm2pl.mmengine.logging.history_buffer import HistoryBuffer
from mm2pl.mmengine.logging.logger import MMLogger, print_log
from mm2pl.mmengine.logging.message_hub import MessageHub

__all__ = ["HistoryBuffer", "MMLogger", "MessageHub", "print_log"]

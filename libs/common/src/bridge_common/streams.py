"""Media streams: `StreamWriter` with its `Outlet`s, and `StreamReader`."""

from bridge_common.stream_reader import Sink, StreamReader
from bridge_common.stream_writer import Outlet, StreamWriter

__all__ = ["Outlet", "Sink", "StreamReader", "StreamWriter"]

"""The shared words of the three services: entries, keys, call records, Redis streams, settings."""

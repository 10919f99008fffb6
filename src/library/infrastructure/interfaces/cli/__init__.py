"""The command `nanobrain-data`: thin, it parses, calls the library, and prints."""

"""How results are shown: as tables on a terminal, as lines in a pipe, as JSON where that is asked for."""

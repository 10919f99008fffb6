"""The entry point of `nanobrain-data`."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: what stands behind the name of the command; default: those of the process.

    Returns:
        The exit code; see `exit_codes`.

    """
    try:
        # Imported in here, so that Ctrl-C ends quietly from the first moment on.
        root = import_module("library.infrastructure.interfaces.cli.grammar.root").ROOT
    except KeyboardInterrupt:
        return 130
    code: int = root.run(arguments)
    return code


if __name__ == "__main__":
    sys.exit(main())

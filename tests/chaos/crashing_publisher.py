"""Builds and publishes one round of a `Shop`, and kills itself at a failpoint; a script of the chaos tests.

python crashing_publisher.py <folder> <round> <failpoint> <n-th reach> [more SQL]
"""

import sys
from pathlib import Path

from tests.support.bomb import Bomb
from tests.support.publishing import Shop


def main() -> None:
    """Publish until the failpoint."""
    folder, number, failpoint, nth, *more = sys.argv[1:]
    shop = Shop(Path(folder), at_failpoint=Bomb(failpoint, int(nth)))
    shop.build(int(number), more=" ".join(more))
    shop.publish(int(number))


if __name__ == "__main__":
    main()

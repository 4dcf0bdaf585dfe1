"""Merges the landing zone of a `Yard`, removes what was replaced, and kills itself at a failpoint; a script.

python crashing_compaction.py <folder> <time of the merge> <failpoint> <n-th reach>
"""

import sys
from datetime import datetime
from pathlib import Path

from tests.support.bomb import Bomb
from tests.support.maintaining import HOUR, Yard


def main() -> None:
    """Go on until the failpoint."""
    folder, now, failpoint, nth = sys.argv[1:]
    yard = Yard(Path(folder), datetime.fromisoformat(now), at_failpoint=Bomb(failpoint, int(nth)))
    yard.compaction.merge()
    yard.now += HOUR
    yard.compaction.remove_replaced()


if __name__ == "__main__":
    main()

"""Repeatable chance: the same story always gets the same ids, pauses and token counts."""

import base64
import random
import string
from datetime import UTC, datetime, timedelta

_LETTERS = string.ascii_letters + string.digits
_SLUG_WORDS = (
    ("amber", "brisk", "calm", "dappled", "eager", "frosty", "gentle", "hazy", "ivory", "jolly", "mellow"),
    ("drifting", "humming", "leaping", "musing", "rolling", "rowing", "soaring", "strolling", "weaving"),
    ("badger", "cedar", "comet", "fern", "heron", "lantern", "otter", "pebble", "quill", "teapot", "wren"),
)


class Chance:
    """Everything about one conversation that no story tells."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)  # seeded by text: the same on every machine and Python

    def uuid(self) -> str:
        """Return an id of a line, a prompt or a conversation."""
        digits = f"{self._random.getrandbits(128):032x}"
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"

    def hexadecimal(self, length: int) -> str:
        """Return hexadecimal digits."""
        return f"{self._random.getrandbits(4 * length):0{length}x}"

    def token(self, prefix: str, length: int) -> str:
        """Return an id as the API makes them: a prefix, letters and digits."""
        return prefix + "".join(self._random.choices(_LETTERS, k=length))

    def signature(self) -> str:
        """Return what stands where a thinking block is signed."""
        return base64.b64encode(self._random.randbytes(48)).decode()

    def slug(self) -> str:
        """Return the three words that newer versions name a conversation by."""
        return "-".join(self._random.choice(words) for words in _SLUG_WORDS)

    def between(self, low: float, high: float) -> float:
        """Return a number between two."""
        return self._random.uniform(low, high)

    def whole(self, low: int, high: int) -> int:
        """Return a whole number between two, both included."""
        return self._random.randint(low, high)

    def happens(self, probability: float) -> bool:
        """Return whether something happens this time."""
        return self._random.random() < probability


class StoryClock:
    """The time in a story; only what happens in it moves it on."""

    def __init__(self, start: str) -> None:
        self.now = datetime.strptime(start, "%Y-%m-%d %H:%M").replace(tzinfo=UTC)

    def wait(self, seconds: float) -> None:
        """Let time pass, in whole milliseconds."""
        self.now += timedelta(milliseconds=round(seconds * 1000))

    def text(self, earlier_ms: int = 0) -> str:
        """Write the present instant as the logs do."""
        instant = self.now - timedelta(milliseconds=earlier_ms)
        return f"{instant:%Y-%m-%dT%H:%M:%S}.{instant.microsecond // 1000:03d}Z"

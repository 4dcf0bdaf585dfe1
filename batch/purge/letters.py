"""Takes the dead letters of a conversation out of the queue, be that a folder or a bucket."""

from dataclasses import dataclass

from batch.purge.target import Target
from stream.landing.dead_letters import DeadLetterStore


@dataclass(frozen=True)
class LetterPurge:
    """All dead letters, those of micro-batches that never landed as well."""

    dead_letters: DeadLetterStore

    def count(self, target: Target) -> int:
        """Count its dead letters."""
        letters = self.dead_letters.by_micro_batch().values()
        return sum(target.has_letter(each.letter.raw) for found in letters for each in found)

    def remove(self, target: Target) -> int:
        """Take its dead letters out; give how many.

        Raises:
            LandingFullError: No space.
            LandingNotWritableError: The folder cannot be written.
            StorageUnavailableError: The object store does not answer.
            StorageRefusedError: It does not let us write.
        """
        return sum(
            self.dead_letters.rewrite(micro_batch_id, lambda each: not target.has_letter(each.letter.raw))
            for micro_batch_id in self.dead_letters.by_micro_batch()
        )

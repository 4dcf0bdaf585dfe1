"""The historical load: every document that is there already, in ranges of `_id`, resumable at any moment.

    landing/backfill-<id>/plan.json         made once, before anything is read
    landing/backfill-<id>/date=…/<n>….parquet   range n has landed: the file is the state
    landing/backfill-<id>/finished.json     the explicit end (or abandoned.json, after `--restart`)

What is loaded stands in the warehouse's manifest, as for every micro-batch.
"""

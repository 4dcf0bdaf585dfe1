"""BSON → columns of the landing zone, for stream, backfill and verification."""

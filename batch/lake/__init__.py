"""The second warehouse: Apache Iceberg, written by Apache Spark, beside an object store."""

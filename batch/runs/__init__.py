"""What is recorded of runs, and the lock that keeps two pipelines apart."""

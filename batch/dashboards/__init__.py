"""Questions in SQL, and the two places that answer them: the HTML report and Metabase."""

"""DS-1000: problems of data science, each judged by its own tests."""

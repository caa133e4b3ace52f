"""Spark jobs, one a stage: thin scripts for spark-submit over the same commands that `mdfs` has."""

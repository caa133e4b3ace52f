"""The whole pipeline on Spark: spark-submit --py-files dist/mdfs.zip jobs/pipeline_job.py --input ... --output ..."""

import sys

from mdfs.cli import main

if __name__ == "__main__":
    main(["run", "--engine", "spark", *sys.argv[1:]])

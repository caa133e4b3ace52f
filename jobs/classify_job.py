"""The classify stage on Spark: spark-submit --py-files dist/mdfs.zip jobs/classify_job.py --output s3://…"""

import sys

from mdfs.cli import main

if __name__ == "__main__":
    main(["classify", "--engine", "spark", *sys.argv[1:]])

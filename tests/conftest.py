"""What every test needs: the function's module reads its settings when it is imported."""

import os

os.environ["TABLE_NAME"] = "files"
os.environ["AWS_DEFAULT_REGION"] = "us-east-1"

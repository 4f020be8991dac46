"""What every test needs: the function's module reads its settings when it is imported."""

import os

from hypothesis import HealthCheck, settings

os.environ["TABLE_NAME"] = "files"
os.environ["AWS_DEFAULT_REGION"] = "us-east-1"

# No test depends on how fast the machine is.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")

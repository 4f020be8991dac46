"""Validate the module and run its Terraform tests, in a copy: `make test`.

python -m tools.terraform_test
"""

import subprocess
import sys

from tools.module_copy import ModuleCopy
from tools.terraform_init import TerraformError


def main() -> int:
    """Say in one piece what Terraform says, since other tests run beside it; 1 for a failure."""
    try:
        with ModuleCopy({}) as module:
            for command in (["validate"], ["test", "-test-directory=tests/terraform"]):
                ran = subprocess.run(
                    ["terraform", *command, "-no-color"],
                    cwd=module.directory,
                    env=module.environment,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    check=False,
                )
                print(f"\nterraform {command[0]}:\n{ran.stdout}")
                if ran.returncode != 0:
                    return 1
    except TerraformError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/bin/bash
# If only the environment's properties change, Elastic Beanstalk runs this instead of the hook: it restarts allswell with them.
set -euo pipefail
exec "$(dirname "$0")/../../hooks/postdeploy/10_allswell.sh"

#!/bin/bash
# Installs allswell, where another one or none is there, and starts it with what the application has in its environment.
# Elastic Beanstalk runs this as root in /var/app/current after each deployment, with the environment's properties.
set -euo pipefail
: "${ALLSWELL_TARBALL:?set it in .ebextensions/allswell.config: where the release lies}"
: "${ALLSWELL_SHA256:?set it in .ebextensions/allswell.config: its line in SHA256SUMS}"

installed=/usr/local/share/allswell.sha256
if [[ $(cat "$installed" 2>/dev/null) != "$ALLSWELL_SHA256" ]]; then
    folder=$(mktemp --directory)
    trap 'rm -rf "$folder"' EXIT
    # Five tries, a second, two, four … apart.
    curl --fail --silent --show-error --location --retry 5 --retry-all-errors --output "$folder/allswell.tar.gz" "$ALLSWELL_TARBALL"
    # What is not what was meant is not unpacked: the hook fails, and with it the deployment.
    echo "$ALLSWELL_SHA256  $folder/allswell.tar.gz" | sha256sum --check --quiet
    # The archive has one folder, allswell-VERSION-TARGET.
    tar --extract --gzip --strip-components 1 --file "$folder/allswell.tar.gz" --directory "$folder"
    install -m 755 "$folder/allswell" /usr/local/bin/allswell
    echo "$ALLSWELL_SHA256" > "$installed"
fi

install -D -m 644 .platform/allswell/allswell.toml /etc/allswell/allswell.toml
install -m 644 .platform/allswell/allswell.service /etc/systemd/system/allswell.service
systemctl daemon-reload
systemctl enable --quiet allswell
# It reads the environment when it starts. It is back within a second, and it takes two bad polls to be out.
systemctl restart allswell

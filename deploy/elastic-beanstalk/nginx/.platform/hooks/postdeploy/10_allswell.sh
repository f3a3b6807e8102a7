#!/bin/bash
# Installs allswell, if it is missing or another version, and starts it with the application's environment.
# Elastic Beanstalk runs this as root in /var/app/current after each deployment, with the environment's properties as variables.
set -euo pipefail
: "${ALLSWELL_TARBALL:?set it in .ebextensions/allswell.config: the URL of the release}"
: "${ALLSWELL_SHA256:?set it in .ebextensions/allswell.config: its checksum from SHA256SUMS}"

installed=/usr/local/share/allswell.sha256
if [[ $(cat "$installed" 2>/dev/null) != "$ALLSWELL_SHA256" ]]; then
    folder=$(mktemp --directory)
    trap 'rm -rf "$folder"' EXIT
    # curl retries five times, after 1, 2, 4 … seconds.
    curl --fail --silent --show-error --location --retry 5 --retry-all-errors --output "$folder/allswell.tar.gz" "$ALLSWELL_TARBALL"
    # If the checksum does not match, the hook fails, and with it the deployment.
    echo "$ALLSWELL_SHA256  $folder/allswell.tar.gz" | sha256sum --check --quiet
    # The archive contains one folder, allswell-VERSION-TARGET.
    tar --extract --gzip --strip-components 1 --file "$folder/allswell.tar.gz" --directory "$folder"
    install -m 755 "$folder/allswell" /usr/local/bin/allswell
    echo "$ALLSWELL_SHA256" > "$installed"
fi

install -D -m 644 .platform/allswell/allswell.toml /etc/allswell/allswell.toml
install -m 644 .platform/allswell/allswell.service /etc/systemd/system/allswell.service
systemctl daemon-reload
systemctl enable --quiet allswell
# allswell reads the environment when it starts. It is back within a second, and only two failed polls remove the machine.
systemctl restart allswell

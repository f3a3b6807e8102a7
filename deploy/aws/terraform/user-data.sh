#!/bin/bash
# Installs allswell on a machine of an Auto Scaling group, and starts it. main.tf inserts lines before this one that set
#   ALLSWELL_TARBALL, ALLSWELL_SHA256  the URL of allswell-VERSION-TARGET.tar.gz, and its checksum from SHA256SUMS
#   APP_ENVIRONMENT                    the file with the application's variables as NAME=value: DATABASE_URL, REDIS_URL
#   APP_NAME, APP_URL, APP_HOST        the application's name, its URL on this machine, and a host name that it accepts
set -euo pipefail

folder=$(mktemp --directory)
trap 'rm -rf "$folder"' EXIT
# The network may not be ready yet: curl retries five times, after 1, 2, 4 … seconds.
curl --fail --silent --show-error --location --retry 5 --retry-all-errors --output "$folder/allswell.tar.gz" "$ALLSWELL_TARBALL"
# If the checksum does not match, the script ends here, and the machine never gets traffic.
echo "$ALLSWELL_SHA256  $folder/allswell.tar.gz" | sha256sum --check --quiet
# The archive contains one folder, allswell-VERSION-TARGET.
tar --extract --gzip --strip-components 1 --file "$folder/allswell.tar.gz" --directory "$folder"
install -m 755 "$folder/allswell" /usr/local/bin/allswell

install -D -m 644 /dev/stdin /etc/allswell/allswell.toml <<'TOML'
# allswell on a machine behind an Application Load Balancer, which polls http://MACHINE:8080/health every 10 s.

[service]
name = "${APP_NAME}"

[server]
listen = "0.0.0.0:8080"
deadline = "800ms"                  # below the load balancer's timeout of 5 s, and below the 1 s or 2 s of other clients
drain = "25s"                       # above the time until the load balancer notices: 2 polls, 10 s apart, and a response within 0.8 s

[defaults]
interval = "5s"                     # half of the load balancer's interval: each poll sees a new result
timeout = "2s"                      # far above a healthy response time, and below the interval
fall = 2                            # one lost packet does not remove the machine

[checks.app]
kind = "http"
url = "${APP_URL}"
host = "${APP_HOST}"                # load balancers send an IP address as Host, which many applications reject; allswell sends this name
forwarded_proto = "https"           # otherwise an application that requires HTTPS redirects
expect_status = ["200-399"]
timeout = "3s"                      # an application under load is slower than a database

[checks.database]
kind = "postgres"
url = "${DATABASE_URL}"             # with ?sslmode=verify-full: its password crosses the network
hold = "1m"                         # all machines share it: during an RDS failover, the verdict is a warning, and no machine is removed

[checks.cache]
kind = "redis"
url = "${REDIS_URL}"                # with rediss://, if it has a password
critical = false                    # the application works without it, but more slowly

[checks.disk]
kind = "disk"
critical = false                    # a full disk needs attention, but should not remove the machine
warn_free = "10%"
TOML

install -m 644 /dev/stdin /etc/systemd/system/allswell.service <<UNIT
[Unit]
Description=allswell, health checks of this machine's services
Wants=network-online.target
After=network-online.target

[Service]
Type=notify
# The application's environment. systemd reads it as root, before it drops privileges. A missing file is an error.
EnvironmentFile=$APP_ENVIRONMENT
Environment=APP_NAME=$APP_NAME APP_URL=$APP_URL APP_HOST=$APP_HOST
ExecStart=/usr/local/bin/allswell serve --config /etc/allswell/allswell.toml
ExecReload=/bin/kill -HUP \$MAINPID
# Restart it a second after it ended, for whatever reason.
Restart=always
RestartSec=1
# allswell notifies systemd every 5 s while its engine runs; after 10 s without a notification, systemd restarts it.
WatchdogSec=10
# server.drain plus 5 s.
TimeoutStopSec=30
# 1024 client connections, a connection for each check, and a margin.
LimitNOFILE=65536
DynamicUser=yes
NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
SystemCallFilter=@system-service

[Install]
WantedBy=multi-user.target
UNIT

systemctl daemon-reload
systemctl enable --now allswell

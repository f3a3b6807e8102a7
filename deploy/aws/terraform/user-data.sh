#!/bin/bash
# Installs allswell on a machine of an Auto Scaling group and starts it. main.tf puts lines before this one that set
#   ALLSWELL_TARBALL, ALLSWELL_SHA256  where allswell-VERSION-TARGET.tar.gz lies, and its line in SHA256SUMS
#   APP_ENVIRONMENT                    the file with the application's variables, NAME=value: DATABASE_URL, REDIS_URL
#   APP_NAME, APP_URL, APP_HOST        the application: its name, where it listens on this machine, a host name that it answers to
set -euo pipefail

folder=$(mktemp --directory)
trap 'rm -rf "$folder"' EXIT
# A machine that starts may be faster than its network: five tries, a second, two, four … apart.
curl --fail --silent --show-error --location --retry 5 --retry-all-errors --output "$folder/allswell.tar.gz" "$ALLSWELL_TARBALL"
# What is not what was meant is not unpacked: the script ends here, and the machine never takes traffic.
echo "$ALLSWELL_SHA256  $folder/allswell.tar.gz" | sha256sum --check --quiet
# The archive has one folder, allswell-VERSION-TARGET.
tar --extract --gzip --strip-components 1 --file "$folder/allswell.tar.gz" --directory "$folder"
install -m 755 "$folder/allswell" /usr/local/bin/allswell

install -D -m 644 /dev/stdin /etc/allswell/allswell.toml <<'TOML'
# allswell on a machine behind an Application Load Balancer, which asks http://MACHINE:8080/health every 10 s.

[service]
name = "${APP_NAME}"

[server]
listen = "0.0.0.0:8080"
deadline = "800ms"                  # below the balancer's 5 s, and below the 1 s or 2 s of every other client
drain = "25s"                       # above what the balancer takes to notice: 2 polls, 10 s apart, and an answer of 0.8 s

[defaults]
interval = "5s"                     # half of the balancer's interval: each of its polls sees a new result
timeout = "2s"                      # far above what a healthy answer takes, and below the interval
fall = 2                            # one lost packet takes no machine out

[checks.app]
kind = "http"
url = "${APP_URL}"
host = "${APP_HOST}"                # the balancer asks by address, which many applications refuse; allswell asks by this name
forwarded_proto = "https"           # else an application that insists on HTTPS redirects
expect_status = ["200-399"]
timeout = "3s"                      # an application under load is slower than a database

[checks.database]
kind = "postgres"
url = "${DATABASE_URL}"             # with ?sslmode=verify-full: its password crosses the network
hold = "1m"                         # all machines share it: while RDS fails over, the verdict is a warning and no machine goes

[checks.cache]
kind = "redis"
url = "${REDIS_URL}"                # with rediss://, if it has a password
critical = false                    # the application works without it, if slowly

[checks.disk]
kind = "disk"
critical = false                    # nobody needs a machine less for it, but somebody should look
warn_free = "10%"
TOML

install -m 644 /dev/stdin /etc/systemd/system/allswell.service <<UNIT
[Unit]
Description=allswell, health of this machine's services
Wants=network-online.target
After=network-online.target

[Service]
Type=notify
# What the application has in its environment, read by systemd before it gives up its rights. A missing file is an error.
EnvironmentFile=$APP_ENVIRONMENT
Environment=APP_NAME=$APP_NAME APP_URL=$APP_URL APP_HOST=$APP_HOST
ExecStart=/usr/local/bin/allswell serve --config /etc/allswell/allswell.toml
ExecReload=/bin/kill -HUP \$MAINPID
# It is of no use when it is down: a second after it ended it is there again.
Restart=always
RestartSec=1
# allswell tells twice as often that its engine moves; silent for so long, it is started anew.
WatchdogSec=10
# server.drain and 5 s.
TimeoutStopSec=30
# 1024 polls at a time, each check's connection, and room.
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

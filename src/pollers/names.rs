//! Names of clients that are not load balancers with a [profile](super::PollerKind), by their user agents. The sources are the vendors' pages and
//! programs: `docs/clients.md` describes each.

/// Parts of the user agents of monitors that resemble a browser's.
const PARTS: [(&[u8], &str); 4] =
    [(b"UptimeRobot/", "uptimerobot"), (b"Pingdom.com_bot", "pingdom"), (b"StatusCake", "statuscake"), (b"DatadogSynthetics", "datadog")];

/// The beginnings of all other user agents.
const PREFIXES: [(&[u8], &str); 19] = [
    (b"GoogleHC/", "google"),
    (b"Prometheus/", "prometheus"),
    (b"Blackbox Exporter/", "blackbox"),
    (b"Uptime-Kuma/", "uptime-kuma"),
    (b"Gatus/", "gatus"),
    (b"Datadog", "datadog"),
    (b"Better Stack Better Uptime Bot", "better-stack"),
    (b"Better Uptime Bot", "better-stack"),
    (b"check_http/", "nagios"),
    (b"check_curl/", "nagios"),
    (b"Zabbix", "zabbix"),
    (GO, "go"),
    (b"Java/", "java"),
    (b"grpc-", "grpc"),
    (b"python-requests/", "python"),
    (b"Wget/", "wget"),
    (b"curl/", "curl"),
    (b"allswell/", "allswell"),
    (b"Mozilla/", "browser"),
];

/// Go's HTTP library, with which Traefik and Caddy poll.
const GO: &[u8] = b"Go-http-client/";

/// The name of a client.
pub(super) fn client_name(agent: &[u8]) -> &'static str {
    let contains = |part: &[u8]| agent.windows(part.len()).any(|window| window == part);
    let by_part = PARTS.iter().find(|(part, _)| contains(part));
    by_part.or_else(|| PREFIXES.iter().find(|(prefix, _)| agent.starts_with(prefix))).map_or("other", |(_, name)| *name)
}

/// Whether a client of an unknown kind may be a load balancer.
pub(super) fn may_be_balancer(agent: &[u8]) -> bool {
    agent.starts_with(GO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monitors_are_named_by_their_user_agents() {
        for (agent, expected) in [
            ("Uptime-Kuma/1.23.13", "uptime-kuma"),
            ("Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)", "uptimerobot"),
            ("Pingdom.com_bot_version_1.4_(http://www.pingdom.com/)", "pingdom"),
            ("Mozilla/5.0 (compatible; Pingdom.com_bot_version_1.4_(http://www.pingdom.com/))", "pingdom"),
            ("Mozilla/5.0 (Windows NT 6.2; WOW64) AppleWebKit/537.4 (KHTML, like Gecko) Chrome/98 Safari/537.4 (StatusCake)", "statuscake"),
            ("Datadog Agent/7.60.0", "datadog"),
            ("Datadog/Synthetics", "datadog"),
            ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/130.0.0.0 Safari/537.36 DatadogSynthetics", "datadog"),
            ("Better Stack Better Uptime Bot Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36", "better-stack"),
            ("Zabbix 6.0.14", "zabbix"),
            ("Zabbix", "zabbix"),
            ("check_http/v2.3.3 (monitoring-plugins 2.3.3)", "nagios"),
            ("Gatus/1.0", "gatus"),
            ("Go-http-client/1.1", "go"),
            ("Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0", "browser"),
            ("", "other"),
            ("xcurl/8", "other"),
        ] {
            assert_eq!(client_name(agent.as_bytes()), expected, "{agent}");
        }
    }
}

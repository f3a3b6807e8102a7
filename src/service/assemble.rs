//! Makes the parts of the engine and the HTTP server from a configuration.

use crate::{
    config::{Configured, Details, ProxyProtocol, ServerSettings},
    dialect::Detail,
    engine::{Aggregator, Builder},
    http::{Answers, Limits, haproxy_agent},
    report::ServiceIdentity,
};

/// The components, groups and identity of a configuration, ready to be started.
pub(crate) fn aggregator_builder(configured: &Configured) -> Builder {
    let mut builder = Aggregator::builder()
        .service(ServiceIdentity::from(&configured.settings.service))
        .redactor(configured.redactor.clone())
        .only_host(configured.only_host);
    for component in &configured.components {
        builder = builder.component(component.clone());
    }
    for (name, group) in &configured.groups {
        // The names were validated when the configuration was read.
        builder = builder.group(name.as_str(), &group.checks);
    }
    builder
}

/// How reports are answered: status codes, deadline, token, level of detail.
pub(super) fn answers(configured: &Configured) -> Answers {
    let server = &configured.settings.server;
    Answers {
        fail_status: server.fail_status,
        warn_status: server.warn_status,
        deadline: server.deadline.0,
        token: server.token.clone(),
        detail: match server.details {
            Details::Full => Detail::Full,
            Details::Status => Detail::Status,
        },
        group_fail_status: configured.groups.iter().filter_map(|(name, group)| Some((name.clone(), group.fail_status?))).collect(),
    }
}

/// The limits for clients, lowered to what the descriptor limit of the process allows.
pub(super) fn limits(configured: &Configured) -> Limits {
    let server = &configured.settings.server;
    let mut limits = Limits {
        max_connections: server.max_connections,
        header_timeout: server.header_timeout.0,
        idle_timeout: server.idle_timeout.0,
        deadline: server.deadline.0,
        reads_proxy_header: server.proxy_protocol == ProxyProtocol::Accept,
    };
    limits.fit(configured.components.len(), if server.haproxy_agent.is_some() { haproxy_agent::MAX_CONNECTIONS } else { 0 });
    limits
}

/// `server.response_memory` in bytes.
pub(super) fn response_memory(server: &ServerSettings) -> usize {
    usize::try_from(server.response_memory.0).unwrap_or(usize::MAX)
}

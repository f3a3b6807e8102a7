//! The brokers that the application's environment variables describe.

use crate::{
    contract::EnvironmentCheck,
    wire::variables::{self, Lookup, ServerVariables, encoded},
};

const BROKERS: &[ServerVariables] = &[
    ServerVariables {
        host: &["RABBITMQ_HOST", "RABBITMQ_HOSTNAME"],
        port: &["RABBITMQ_PORT"],
        username: &["RABBITMQ_USER", "RABBITMQ_USERNAME", "RABBITMQ_LOGIN", "RABBITMQ_DEFAULT_USER"],
        password: &["RABBITMQ_PASSWORD", "RABBITMQ_PASS", "RABBITMQ_DEFAULT_PASS"],
        path: &["RABBITMQ_VHOST", "RABBITMQ_DEFAULT_VHOST"],
        tls: &[],
    },
    ServerVariables {
        host: &["SPRING_RABBITMQ_ADDRESSES", "SPRING_RABBITMQ_HOST"],
        port: &["SPRING_RABBITMQ_PORT"],
        username: &["SPRING_RABBITMQ_USERNAME"],
        password: &["SPRING_RABBITMQ_PASSWORD"],
        path: &["SPRING_RABBITMQ_VIRTUAL_HOST"],
        tls: &["SPRING_RABBITMQ_SSL_ENABLED"],
    },
];

pub(super) fn checks(variable: Lookup<'_>) -> Vec<EnvironmentCheck> {
    // The path of Messenger's URL is the vhost, and after that a name of an exchange.
    let messenger = variables::messenger(variable, &["amqp", "amqps", "phpamqplib", "phpamqplibs"]).map(|(_, server)| server);
    let brokers = BROKERS.iter().filter_map(|broker| {
        let mut server = broker.read(variable)?;
        server.path = encoded(&server.path);
        Some(server)
    });
    let url = |server: &variables::Server| {
        let scheme = if server.has_tls { "amqps" } else { "amqp" };
        format!("{scheme}://{}/{}", server.authority(), server.path)
    };
    messenger.into_iter().chain(brokers).map(|server| server.check(url)).collect()
}

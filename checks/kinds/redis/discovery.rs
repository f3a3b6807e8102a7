//! The servers that the application's environment variables describe.

use crate::{
    contract::EnvironmentCheck,
    wire::variables::{self, Lookup, Server, ServerVariables, is_driver_used},
};

const SERVERS: &[ServerVariables] = &[
    ServerVariables {
        host: &["REDIS_HOST", "REDIS_HOSTNAME"],
        port: &["REDIS_PORT"],
        username: &["REDIS_USERNAME", "REDIS_USER"],
        password: &["REDIS_PASSWORD"],
        path: &["REDIS_DB", "REDIS_DATABASE"],
        tls: &["REDIS_TLS", "REDIS_SSL", "REDIS_USE_TLS", "REDIS_SCHEME"],
    },
    // Railway.
    ServerVariables {
        host: &["REDISHOST"],
        port: &["REDISPORT"],
        username: &["REDISUSER"],
        password: &["REDISPASSWORD"],
        path: &[],
        tls: &[],
    },
    ServerVariables {
        host: &["SPRING_DATA_REDIS_HOST"],
        port: &["SPRING_DATA_REDIS_PORT"],
        username: &["SPRING_DATA_REDIS_USERNAME"],
        password: &["SPRING_DATA_REDIS_PASSWORD"],
        path: &["SPRING_DATA_REDIS_DATABASE"],
        tls: &["SPRING_DATA_REDIS_SSL_ENABLED"],
    },
    // Spring Boot 2.
    ServerVariables {
        host: &["SPRING_REDIS_HOST"],
        port: &["SPRING_REDIS_PORT"],
        username: &["SPRING_REDIS_USERNAME"],
        password: &["SPRING_REDIS_PASSWORD"],
        path: &["SPRING_REDIS_DATABASE"],
        tls: &["SPRING_REDIS_SSL"],
    },
];

pub(super) fn checks(variable: Lookup<'_>) -> Vec<EnvironmentCheck> {
    let messenger = variables::messenger(variable, &["redis", "rediss"]).map(|(url, mut server)| {
        // The path of Messenger's URL names a stream, and a parameter the database.
        let database = url.query_pairs().find(|(name, _)| name == "dbindex").map(|(_, number)| number.into_owned());
        server.path = database.unwrap_or_default();
        server
    });
    let servers = SERVERS.iter().filter(|_| is_driver_used(variable, "redis")).filter_map(|server| server.read(variable));
    messenger.into_iter().chain(servers).map(|server| server.check(url)).collect()
}

fn url(server: &Server) -> String {
    let database = Some(&*server.path).filter(|path| path.bytes().all(|byte| byte.is_ascii_digit())).unwrap_or_default();
    if server.host.starts_with('/') {
        let database = if database.is_empty() { "0" } else { database };
        return format!("redis+unix://{}?db={database}", server.host);
    }
    let scheme = if server.has_tls { "rediss" } else { "redis" };
    format!("{scheme}://{}/{database}", server.authority())
}

//! Routes: the handler of each path.

#[cfg(feature = "server")]
use super::{
    admin::{self, Control},
    fast_path::FastPath,
    memory::ResponseMemory,
};
use super::{
    answers::Answers,
    counted::counted,
    grpc, page,
    paths::{Endpoint, PATHS, ROOT},
    state::HttpState,
};
use crate::{engine::Aggregator, report::View};
use arc_swap::ArcSwap;
use axum::{
    Router,
    body::Body,
    extract::{Path, State, rejection::PathRejection},
    http::{Request, Response},
    middleware::from_fn_with_state,
    routing::{MethodRouter, any},
};
use std::sync::Arc;

type SharedState = Arc<HttpState>;

/// The health paths and `/metrics`, to merge into your own application. It has every path of the binary but `/` and `/admin`, and responds as
/// the binary does with its default configuration. If your application has such a path already, put these below another one with
/// `Router::nest`. Serve the application with `into_make_service_with_connect_info::<SocketAddr>()` to make the addresses of pollers known.
pub fn router(aggregator: Aggregator) -> Router {
    router_with(aggregator, Answers::default())
}

/// The health paths and `/metrics`, with settings of your own.
pub fn router_with(aggregator: Aggregator, answers: Answers) -> Router {
    let state = HttpState::new(aggregator, Arc::new(ArcSwap::from_pointee(answers)), None);
    let counted = from_fn_with_state(Arc::clone(&state), counted);
    // The application's own paths are not counted.
    health(state).route_layer(counted)
}

/// Everything that the binary serves: the health paths, `/`, and the paths that need the token.
#[cfg(feature = "server")]
pub(crate) fn build_routes(aggregator: &Aggregator, answers: Arc<ArcSwap<Answers>>, memory: ResponseMemory, control: &Control) -> FastPath {
    let state = HttpState::new(aggregator.clone(), answers, Some(memory));
    let unknown = |State(state): State<SharedState>, request: Request<Body>| async move { state.unknown_path(&request.into_parts().0) };
    let mut routes = with_slash(Router::new().fallback(unknown), ROOT, report(View::Whole));
    for (path, endpoint) in PATHS {
        let Endpoint::Admin(command) = endpoint else { continue };
        let control = control.clone();
        let handler = any(move |State(state): State<SharedState>, request: Request<Body>| async move {
            admin::execute(*command, &state, &control, &request.into_parts().0).await
        });
        routes = with_slash(routes, path, handler);
    }
    let counted = from_fn_with_state(Arc::clone(&state), counted);
    let routes = routes.with_state(Arc::clone(&state)).merge(health(Arc::clone(&state))).layer(counted);
    FastPath::new(state, routes)
}

/// The paths that applications can embed.
fn health(state: SharedState) -> Router {
    let mut routes = Router::new();
    for (path, endpoint) in PATHS {
        let handler = match endpoint {
            Endpoint::Report(_) if *path == ROOT => continue,
            Endpoint::Report(view) => report(view.clone()),
            Endpoint::Metrics => {
                any(|State(state): State<SharedState>, request: Request<Body>| async move { state.metrics(&request.into_parts().0).await })
            }
            Endpoint::Grpc(call) => {
                any(
                    move |State(state): State<SharedState>, request: Request<Body>| async move { grpc::serve(*call, &state, request).await },
                )
            }
            Endpoint::Alb => {
                any(|State(state): State<SharedState>, request: Request<Body>| async move { grpc::alb(&state, request).await })
            }
            Endpoint::Events => any(|State(state): State<SharedState>, request: Request<Body>| async move {
                state.events.serve(&state.aggregator, &state.polls, &state.answers.load(), &request.into_parts().0)
            }),
            Endpoint::Asset(content_type, content) => any(move |State(state): State<SharedState>, request: Request<Body>| async move {
                page::asset(request.method(), content_type, content, state.aggregator.status())
            }),
            Endpoint::Admin(_) => continue,
        };
        routes = with_slash(routes, path, handler);
    }
    with_slash(routes, "/health/{name}", any(named)).with_state(state)
}

fn with_slash(routes: Router<SharedState>, path: &str, handler: MethodRouter<SharedState>) -> Router<SharedState> {
    let routes = routes.route(path, handler.clone());
    if path == ROOT { routes } else { routes.route(&format!("{path}/"), handler) }
}

fn report(view: View) -> MethodRouter<SharedState> {
    any(move |State(state): State<SharedState>, request: Request<Body>| async move { state.report(view, &request.into_parts().0).await })
}

async fn named(State(state): State<SharedState>, name: Result<Path<String>, PathRejection>, request: Request<Body>) -> Response<Body> {
    // A name that is not UTF-8 belongs to no component.
    match name.ok().and_then(|Path(name)| state.aggregator.view(&name)) {
        Some(view) => state.report(view, &request.into_parts().0).await,
        None => state.unknown_view(),
    }
}

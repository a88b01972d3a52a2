//! `/live` and `/ready`, for whoever supervises the process. Reads counters, changes nothing.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;

use super::clock;
use super::run::Overview;
use crate::deliver::Progress;

/// A thread that did not come around for this long hangs: restart it. Restoring after a rebalance
/// may wait for three transaction timeouts.
const PATIENCE: Duration = Duration::from_secs(120);

/// Serves until the process ends, on a thread of its own.
///
/// # Errors
/// If the address cannot be bound.
pub fn serve(listen: SocketAddr, overview: Overview) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = runtime.block_on(TcpListener::bind(listen))?;
    tracing::info!(%listen, "serving /live and /ready");
    std::thread::Builder::new().name("admin".into()).spawn(move || {
        let ended = runtime.block_on(async { axum::serve(listener, router(overview)).await });
        if let Err(error) = ended {
            tracing::error!(%error, "health is not served any more");
        }
    })?;
    Ok(())
}

fn router(overview: Overview) -> Router {
    let alive = overview.clone();
    Router::new()
        .route(
            "/live",
            get(async move || {
                answer(alive.threads.iter().all(|t| t.is_alive(clock::now(), PATIENCE)))
            }),
        )
        .route("/ready", get(async move || ready(&overview)))
}

fn ready(overview: &Overview) -> (StatusCode, String) {
    let held: u64 = overview.threads.iter().map(|t| Progress::get(&t.stopped_partitions)).sum();
    let (status, mut text) =
        answer(overview.threads.iter().all(|t| t.is_ready(clock::now(), PATIENCE)));
    if held > 0 {
        text = format!("{text}; {held} partitions are held still, see the log\n");
    }
    (status, text)
}

fn answer(yes: bool) -> (StatusCode, String) {
    match yes {
        true => (StatusCode::OK, "yes".into()),
        false => (StatusCode::SERVICE_UNAVAILABLE, "no".into()),
    }
}

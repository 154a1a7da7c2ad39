//! The door that clients come in by: opened last, closed first.

use std::io;
use std::sync::Arc;

use tokio::io::{BufReader, BufWriter};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::app::components::Components;
use crate::dispatch::Dispatcher;
use crate::http::Door;
use crate::http::listener::{Listener, Serving, Settings};
use crate::http::pulse::Patience;
use crate::lifecycle::{Lifecycle, Stage};
use crate::stdio;

/// Ends when the door has closed by itself: standard input came to its end, or broke. A port never does.
pub(super) type Closed = oneshot::Receiver<io::Result<()>>;

/// Lets clients in, by the port or by standard input and output.
pub(super) fn open(
    components: &mut Components,
    listener: Option<Listener>,
    max_connections: usize,
    dispatcher: &Arc<Dispatcher>,
    lifecycle: &Arc<Lifecycle>,
) -> Closed {
    let (closed, closes) = oneshot::channel();
    let drain = Drain { dispatcher: dispatcher.clone(), lifecycle: lifecycle.clone() };
    match listener {
        Some(listener) => {
            let serving = serve(listener, max_connections, dispatcher, lifecycle);
            components.started("mcp", |until| async move {
                drain.begin().await;
                drain.http(&serving, until).await;
                // A port closes when it is told to, and not before.
                drop(closed);
            });
        }
        None => {
            let stop = CancellationToken::new();
            let (input, output) = (BufReader::new(tokio::io::stdin()), BufWriter::new(tokio::io::stdout()));
            let served = stdio::serve(input, output, dispatcher.clone(), stop.clone());
            let task = tokio::spawn(async move {
                // Where nobody waits for it any more, the process is stopping anyway.
                let _unheard = closed.send(served.await);
            });
            components.started("mcp", |until| async move {
                drain.lifecycle.enter(Stage::Draining);
                drain.dispatcher.metrics.ready.set(0);
                stop.cancel();
                if tokio::time::timeout_at(until, task).await.is_err() {
                    drain.cut_off();
                }
            });
        }
    }
    lifecycle.enter(Stage::Ready);
    dispatcher.metrics.ready.set(1);
    closes
}

fn serve(
    listener: Listener,
    max_connections: usize,
    dispatcher: &Arc<Dispatcher>,
    lifecycle: &Arc<Lifecycle>,
) -> Serving {
    let http = &dispatcher.snapshot().config.process.http;
    let door = Arc::new(Door::new(dispatcher.clone(), lifecycle.clone(), http.path().to_owned()));
    let settings = Settings {
        max_connections,
        spare_descriptors: 0,
        patience: Patience::default(),
        open: Some(dispatcher.metrics.connections.clone()),
        accepted: Some(dispatcher.metrics.connections_total.clone()),
    };
    listener.serve(move |request, peer, busy| door.clone().serve(request, peer, busy), settings)
}

/// Letting go of clients.
struct Drain {
    dispatcher: Arc<Dispatcher>,
    lifecycle: Arc<Lifecycle>,
}

impl Drain {
    /// Clients and load balancers hear of it, and are answered meanwhile.
    async fn begin(&self) {
        self.lifecycle.enter(Stage::Draining);
        self.dispatcher.metrics.ready.set(0);
        let delay = self.dispatcher.snapshot().config.process.shutdown.delay().as_std();
        tokio::time::sleep(delay).await;
    }

    async fn http(&self, serving: &Serving, until: Instant) {
        serving.finish();
        if tokio::time::timeout_at(until, serving.finished()).await.is_err() {
            self.cut_off();
        }
        serving.abort().await;
    }

    fn cut_off(&self) {
        let left = self.dispatcher.metrics.in_flight.get();
        tracing::warn!(left, "requests were not finished in time and are cut off");
    }
}

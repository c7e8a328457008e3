//! Puts together everything the gateway can say about itself, once a second, for dashboard, API, metrics and uplinks.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bellwether_connectors::StatusCell;
use bellwether_domain::{GapStatus, GatewayStatus, PlantStatus, StoreStatus, UplinkStatus};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;

/// How often the picture is renewed besides at each change of the engine's state.
const PERIOD: Duration = Duration::from_secs(1);

/// Version of the program, as the dashboard and the status message show it.
pub const BUILD: &str = concat!("bellwether ", env!("CARGO_PKG_VERSION"));

/// Where the parts of the picture come from.
#[derive(Debug)]
pub struct Parts {
    /// The gateway's own name.
    pub device: String,
    /// Plant time.
    pub clock: Clock,
    /// From the pump.
    pub state: watch::Receiver<Arc<PlantStatus>>,
    /// From the pump.
    pub gaps: watch::Receiver<Arc<GapStatus>>,
    /// From the sources: those that run now.
    pub connectors: watch::Receiver<Vec<StatusCell>>,
    /// From the uplinks.
    pub uplinks: Vec<watch::Receiver<UplinkStatus>>,
    /// From the store writer.
    pub store: watch::Receiver<StoreStatus>,
    /// From the pump.
    pub raw_equivalent_bytes: Arc<AtomicU64>,
    /// From the pump.
    pub thinned: Arc<AtomicU64>,
}

impl Parts {
    /// The picture now.
    pub fn assemble(&self) -> GatewayStatus {
        let raw_equivalent = self.raw_equivalent_bytes.load(Ordering::Relaxed);
        let mut store = self.store.borrow().clone();
        let state = Arc::clone(&self.state.borrow());
        store.thinned += self.thinned.load(Ordering::Relaxed);
        GatewayStatus {
            build: BUILD.to_owned(),
            device: self.device.clone(),
            started_at: self.clock.started_at(),
            uptime: self.clock.uptime(),
            speed: self.clock.speed(),
            plant: Arc::clone(&state.plant),
            state: PlantStatus::clone(&state),
            gaps: Arc::clone(&self.gaps.borrow()),
            connectors: self.connectors.borrow().iter().map(StatusCell::get).collect(),
            uplinks: self
                .uplinks
                .iter()
                .map(|part| {
                    let mut uplink = part.borrow().clone();
                    uplink.bytes_raw_equivalent = raw_equivalent;
                    uplink
                })
                .collect(),
            store,
        }
    }

    /// Renews the picture until `stop`.
    ///
    /// # Errors
    /// If the pump is gone.
    pub async fn run(
        mut self,
        picture: watch::Sender<Arc<GatewayStatus>>,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let mut due = tokio::time::interval(PERIOD);
        loop {
            tokio::select! {
                _ = due.tick() => {}
                changed = self.state.changed() => if changed.is_err() { break },
                () = stop.cancelled() => break,
            }
            picture.send_replace(Arc::new(self.assemble()));
        }
        Ok(())
    }
}

//! The only place that spawns. Every task is *essential*: if one ends before it was asked to, the process ends with a
//! non-zero code and the service manager starts it again, so there is one recovery path and it is always exercised.
//! Sessions to devices and brokers are restarted by their own supervisors inside such a task.

use std::{collections::BTreeMap, future::Future, time::Duration};

use anyhow::{Context as _, anyhow};
use tokio::task::{Id, JoinError, JoinSet};
use tracing::{debug, error};

/// The running tasks of the process.
#[derive(Debug, Default)]
pub struct Tasks {
    set: JoinSet<anyhow::Result<()>>,
    names: BTreeMap<String, Id>,
}

impl Tasks {
    /// No tasks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a task under a name that appears in logs and errors.
    pub fn spawn(
        &mut self,
        name: impl Into<String>,
        task: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        let handle = self.set.spawn(task);
        self.names.insert(name.into(), handle.id());
    }

    /// Waits until some task ends, and says how. `None` if none is left.
    pub async fn next_end(&mut self) -> Option<(String, anyhow::Result<()>)> {
        let ended = self.set.join_next_with_id().await?;
        let (id, result) = match ended {
            Ok((id, result)) => (id, result),
            Err(error) => (error.id(), Err(panicked(error))),
        };
        let name = self.names.iter().find(|(_, known)| **known == id).map(|(name, _)| name.clone());
        let name = name.unwrap_or_else(|| "unnamed task".to_owned());
        self.names.remove(&name);
        Some((name, result))
    }

    /// Waits until all tasks have ended by themselves, at most for `grace`; then ends the rest.
    ///
    /// # Errors
    /// The first failure, or the names of the tasks that had to be ended.
    pub async fn drain(&mut self, grace: Duration) -> anyhow::Result<()> {
        let mut outcome = Ok(());
        let drained = tokio::time::timeout(grace, async {
            while let Some((name, result)) = self.next_end().await {
                debug!(task = name, "task ended");
                if let Err(error) = result {
                    error!(task = name, error = format!("{error:#}"), "task failed while stopping");
                    if outcome.is_ok() {
                        outcome = Err(error).context(format!("{name} failed while stopping"));
                    }
                }
            }
        })
        .await;
        if drained.is_err() {
            let left: Vec<_> = self.names.keys().cloned().collect();
            self.set.shutdown().await;
            return Err(anyhow!("{} did not stop within {grace:?} and was ended", left.join(", ")));
        }
        outcome
    }
}

fn panicked(error: JoinError) -> anyhow::Error {
    match error.try_into_panic() {
        Ok(panic) => {
            let text = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned());
            anyhow!("panicked: {}", text.unwrap_or_else(|| "no message".to_owned()))
        }
        Err(error) => anyhow!("cancelled: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_failure_with_a_name() {
        let mut tasks = Tasks::new();
        tasks.spawn("pump", async { panic!("broken invariant") });
        let (name, result) = tasks.next_end().await.expect("one task was spawned");
        assert_eq!(name, "pump");
        assert_eq!(result.unwrap_err().to_string(), "panicked: broken invariant");
    }

    #[tokio::test]
    async fn a_task_that_hangs_is_ended_and_named() {
        let mut tasks = Tasks::new();
        tasks.spawn("web", async { Ok(()) });
        tasks.spawn("uplink scada", std::future::pending());
        let error = tasks.drain(Duration::from_millis(50)).await.unwrap_err();
        assert_eq!(error.to_string(), "uplink scada did not stop within 50ms and was ended");
    }
}

//! Which of the two databases do not take data at present: one line in the log for each change, however often is tried.

/// One of the two databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Database {
    /// Alarms, messages, what was learnt.
    Core,
    /// Raw history and health history.
    History,
}

/// What a write has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Nothing: it is as it was.
    Nothing,
    /// This database has begun to fail, or fails for another reason than before.
    Failing,
    /// Both databases take data again.
    Recovered,
}

/// What each database fails with at present.
#[derive(Debug, Default)]
pub(super) struct Faults {
    core: Option<String>,
    history: Option<String>,
}

impl Faults {
    /// Notes the outcome of a write; `failure` in words, if it failed.
    pub(super) fn note(&mut self, database: Database, failure: Option<String>) -> News {
        let was_well = self.error().is_none();
        let fault = match database {
            Database::Core => &mut self.core,
            Database::History => &mut self.history,
        };
        let is_other = *fault != failure;
        *fault = failure;
        match (is_other, fault.is_some()) {
            (true, true) => News::Failing,
            (true, false) if !was_well && self.error().is_none() => News::Recovered,
            _ => News::Nothing,
        }
    }

    /// What is wrong at present; of two faults the one that matters more.
    pub(super) fn error(&self) -> Option<&str> {
        self.core.as_deref().or(self.history.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_once_for_each_database_and_is_over_when_both_write() {
        let mut faults = Faults::default();
        let full = |database| Some(format!("{database:?} is full"));
        for (database, failure, expected, error) in [
            (Database::Core, None, News::Nothing, None),
            (Database::Core, full(Database::Core), News::Failing, Some("Core is full")),
            (Database::History, full(Database::History), News::Failing, Some("Core is full")),
            (Database::Core, full(Database::Core), News::Nothing, Some("Core is full")),
            (Database::History, full(Database::History), News::Nothing, Some("Core is full")),
            (Database::Core, None, News::Nothing, Some("History is full")),
            (Database::Core, full(Database::Core), News::Failing, Some("Core is full")),
            (Database::History, None, News::Nothing, Some("Core is full")),
            (Database::Core, Some("damaged".to_owned()), News::Failing, Some("damaged")),
            (Database::Core, None, News::Recovered, None),
            (Database::History, None, News::Nothing, None),
        ] {
            assert_eq!(
                faults.note(database, failure.clone()),
                expected,
                "{database:?} {failure:?}"
            );
            assert_eq!(faults.error(), error, "{database:?} {failure:?}");
        }
    }
}

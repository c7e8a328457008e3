//! Write transactions that survive a full disk.

use std::ops::{Deref, DerefMut};

use sqlx::{Executor, Sqlite, SqliteConnection, pool::PoolConnection};

use crate::StoreError;

/// A write transaction. One that is dropped without [`commit`](Self::commit), because something failed, takes its
/// connection with it: SQLite rolls back by itself when the disk is full, which sqlx's own transactions do not notice (all
/// later ones on the connection fail), and a connection whose fsync failed must not be trusted again. The next write opens
/// a new one.
pub(crate) struct Write {
    connection: PoolConnection<Sqlite>,
    is_over: bool,
    file: &'static str,
    doing: &'static str,
}

impl Write {
    /// `IMMEDIATE`: a deferred transaction that becomes a write later fails at once with code 517.
    pub(crate) async fn begin(
        connection: PoolConnection<Sqlite>,
        file: &'static str,
        doing: &'static str,
    ) -> Result<Self, StoreError> {
        let mut write = Self { connection, is_over: false, file, doing };
        write.execute("BEGIN IMMEDIATE").await?;
        Ok(write)
    }

    /// Makes all of it durable, or nothing.
    pub(crate) async fn commit(mut self) -> Result<(), StoreError> {
        self.end("COMMIT").await
    }

    /// Undoes all of it, though nothing failed.
    pub(crate) async fn undo(mut self) -> Result<(), StoreError> {
        self.end("ROLLBACK").await
    }

    async fn end(&mut self, how: &'static str) -> Result<(), StoreError> {
        self.execute(how).await?;
        self.is_over = true;
        Ok(())
    }

    async fn execute(&mut self, statement: &'static str) -> Result<(), StoreError> {
        let executed = self.connection.execute(statement).await;
        executed.map_err(|error| StoreError::from_sql(self.file, self.doing, error))?;
        Ok(())
    }
}

impl Deref for Write {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.connection
    }
}

impl DerefMut for Write {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }
}

impl Drop for Write {
    fn drop(&mut self) {
        if !self.is_over {
            self.connection.close_on_drop();
        }
    }
}

//! History, facts and stream positions in SQLite. What one batch holds is written in one transaction or not at all, so
//! the position never says more than the rows.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{Connection, Row as _, SqliteConnection};
use tandem_stat::{Position, Row};

/// Steps of the schema; `user_version` counts those that a file has.
const SCHEMA: [&str; 1] = [include_str!("sql/0001.sql")];

/// How long a statement waits for another process.
const BUSY: Duration = Duration::from_secs(5);

/// What belongs together.
#[derive(Debug, Default)]
pub struct Batch {
    /// Rows of history.
    pub rows: Vec<Row>,
    /// Facts, by key: the last value of each; `None` removes it.
    pub facts: BTreeMap<String, Option<String>>,
    /// Stream positions after which all that holds, by site.
    pub positions: Vec<(String, Position)>,
}

/// What an earlier process left.
#[derive(Debug, Default)]
pub struct Left {
    /// Values of facts.
    pub facts: Vec<String>,
    /// Stream positions by site.
    pub positions: Vec<(String, Position)>,
}

/// The database.
pub struct Store {
    connection: SqliteConnection,
}

impl Store {
    /// Opens the file, makes it if need be, and brings its schema up to date.
    ///
    /// # Errors
    /// What SQLite says; a file of a later version of the program is refused.
    pub async fn open(path: &Path) -> Result<Self, sqlx::Error> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .busy_timeout(BUSY)
            .journal_mode(SqliteJournalMode::Wal)
            // A line in the JSON file must not outlive its row in a power failure.
            .synchronous(SqliteSynchronous::Full);
        let mut connection = SqliteConnection::connect_with(&options).await?;
        let row = sqlx::query("PRAGMA user_version").fetch_one(&mut connection).await?;
        let version: i64 = row.try_get(0)?;
        let done = usize::try_from(version).unwrap_or(usize::MAX);
        if done > SCHEMA.len() {
            let text = format!("{} was written by a later version of tandem", path.display());
            return Err(sqlx::Error::Configuration(text.into()));
        }
        for (step, sql) in SCHEMA.iter().enumerate().skip(done) {
            let mut change = connection.begin().await?;
            sqlx::raw_sql(*sql).execute(&mut *change).await?;
            let version = sqlx::AssertSqlSafe(format!("PRAGMA user_version = {}", step + 1));
            sqlx::raw_sql(version).execute(&mut *change).await?;
            change.commit().await?;
        }
        Ok(Self { connection })
    }

    /// Where an earlier process stopped.
    ///
    /// # Errors
    /// What SQLite says.
    pub async fn left(&mut self) -> Result<Left, sqlx::Error> {
        let mut left = Left::default();
        for row in sqlx::query("SELECT value FROM fact").fetch_all(&mut self.connection).await? {
            left.facts.push(row.try_get(0)?);
        }
        let positions = sqlx::query("SELECT site, session, after FROM position");
        for row in positions.fetch_all(&mut self.connection).await? {
            let (session, after) = (row.try_get(1)?, row.try_get::<i64, _>(2)?.unsigned_abs());
            left.positions.push((row.try_get(0)?, Position { session, after }));
        }
        Ok(left)
    }

    /// Writes a batch whole.
    ///
    /// # Errors
    /// What SQLite says; nothing of the batch is there then.
    pub async fn write(&mut self, batch: &Batch) -> Result<(), sqlx::Error> {
        let mut change = self.connection.begin().await?;
        for row in &batch.rows {
            let json = serde_json::to_string(row).map_err(|error| sqlx::Error::Encode(error.into()))?;
            sqlx::query("INSERT OR IGNORE INTO history (id, kind, to_unix_ms, json) VALUES (?, ?, ?, ?)")
                .bind(row.id())
                .bind(row.kind())
                .bind(row.to_unix_ms().cast_signed())
                .bind(json)
                .execute(&mut *change)
                .await?;
        }
        for (key, value) in &batch.facts {
            let query = match value {
                Some(value) => sqlx::query("INSERT OR REPLACE INTO fact (key, value) VALUES (?, ?)")
                    .bind(key)
                    .bind(value),
                None => sqlx::query("DELETE FROM fact WHERE key = ?").bind(key),
            };
            query.execute(&mut *change).await?;
        }
        for (site, position) in &batch.positions {
            sqlx::query("INSERT OR REPLACE INTO position (site, session, after) VALUES (?, ?, ?)")
                .bind(site)
                .bind(&position.session)
                .bind(position.after.cast_signed())
                .execute(&mut *change)
                .await?;
        }
        change.commit().await
    }

    /// Rows after the `after`-th, in order, at most `most`.
    ///
    /// # Errors
    /// What SQLite says.
    pub async fn rows_after(&mut self, after: i64, most: i64) -> Result<Vec<(i64, String)>, sqlx::Error> {
        let query = sqlx::query("SELECT n, json FROM history WHERE n > ? ORDER BY n LIMIT ?");
        let rows = query.bind(after).bind(most).fetch_all(&mut self.connection).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }

    /// Up to which row a file has the history.
    ///
    /// # Errors
    /// What SQLite says.
    pub async fn mark(&mut self, file: &str) -> Result<i64, sqlx::Error> {
        let query = sqlx::query("SELECT n FROM mark WHERE file = ?").bind(file);
        let found = query.fetch_optional(&mut self.connection).await?;
        found.map_or(Ok(0), |row| row.try_get(0))
    }

    /// Notes it.
    ///
    /// # Errors
    /// What SQLite says.
    pub async fn set_mark(&mut self, file: &str, n: i64) -> Result<(), sqlx::Error> {
        let query = sqlx::query("INSERT OR REPLACE INTO mark (file, n) VALUES (?, ?)").bind(file).bind(n);
        query.execute(&mut self.connection).await.map(|_| ())
    }

    /// Removes rows that ended before `before_unix_ms`, as far as every file has them; at most `most` at a time.
    ///
    /// # Errors
    /// What SQLite says.
    pub async fn forget(&mut self, before_unix_ms: u64, most: i64) -> Result<u64, sqlx::Error> {
        let query = sqlx::query(
            "DELETE FROM history WHERE n IN (SELECT n FROM history WHERE to_unix_ms < ? \
             AND n <= COALESCE((SELECT MIN(n) FROM mark), n) LIMIT ?)",
        );
        let query = query.bind(before_unix_ms.cast_signed()).bind(most);
        query.execute(&mut self.connection).await.map(|done| done.rows_affected())
    }
}

#[cfg(test)]
impl Store {
    /// From now on no position can be written.
    pub async fn break_positions(&mut self) {
        let sql = "CREATE TRIGGER broken BEFORE INSERT ON position BEGIN SELECT RAISE(ABORT, 'broken'); END";
        sqlx::raw_sql(sql).execute(&mut self.connection).await.unwrap();
    }

    /// As if a later program had written it.
    pub async fn pretend_version(&mut self, version: u32) {
        let sql = sqlx::AssertSqlSafe(format!("PRAGMA user_version = {version}"));
        sqlx::raw_sql(sql).execute(&mut self.connection).await.unwrap();
    }
}

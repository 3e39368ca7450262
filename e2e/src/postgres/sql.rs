//! What is asked of the database: logins, users, sessions.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

use super::{ADMIN, Postgres};

/// A server that was frozen accepts connections and says nothing.
const PATIENCE: Duration = Duration::from_secs(10);

impl Postgres {
    /// Logs in and runs `select 1`. Fails with what the server says: its code and its words.
    pub async fn can_log_in(&self, user: &str, password: &str) -> Result<()> {
        self.login(user, password).await?.map_err(|error| {
            let code = error.code().map_or("", SqlState::code).to_owned();
            anyhow!(error).context(format!("log in to PostgreSQL as {user}: {code}"))
        })
    }

    /// Fails unless the server refuses this user with this password: that it is down or full is no refusal. Returns what
    /// it says.
    pub async fn refuses(&self, user: &str, password: &str) -> Result<String> {
        let Err(error) = self.login(user, password).await? else {
            bail!("PostgreSQL lets {user} log in");
        };
        match error.code() {
            Some(code)
                if *code == SqlState::INVALID_PASSWORD
                    || *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION =>
            {
                Ok(format!("{:#}", anyhow!(error)))
            }
            Some(_) | None => Err(anyhow!(error).context(format!("see {user} refused"))),
        }
    }

    /// Runs statements as the administrator, and returns the rows of all of them as texts; NULL is empty.
    pub async fn sql(&self, statements: &str) -> Result<Vec<Vec<String>>> {
        let work = async { self.admin().await?.simple_query(statements).await };
        let answers = in_time(work)
            .await?
            .context("run SQL as the administrator")?;
        let rows = answers.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let texts = rows.map(|row| {
            let cells = (0..row.len()).map(|cell| row.get(cell).unwrap_or_default().to_owned());
            cells.collect()
        });
        Ok(texts.collect())
    }

    /// The users whose name begins with `prefix`, in the order of their names.
    pub async fn roles(&self, prefix: &str) -> Result<Vec<String>> {
        let query = "select rolname from pg_roles where rolcanlogin and starts_with(rolname, $1) order by 1";
        let work = async {
            let rows = self.admin().await?.query(query, &[&prefix]).await?;
            let names = rows.iter().map(|row| row.try_get(0));
            names.collect::<Result<Vec<String>, _>>()
        };
        in_time(work).await?.context("list the users")
    }

    /// Ends all sessions of a user, and returns how many there were.
    pub async fn end_sessions(&self, user: &str) -> Result<usize> {
        let query = "select pg_terminate_backend(pid) from pg_stat_activity where usename = $1";
        let work = async { self.admin().await?.query(query, &[&user]).await };
        let rows = in_time(work).await?.context("end the sessions")?;
        Ok(rows.len())
    }

    /// The outer error is that the server says nothing at all.
    async fn login(&self, user: &str, password: &str) -> Result<Result<(), tokio_postgres::Error>> {
        in_time(async {
            let client = self.connect(user, password).await?;
            client.simple_query("select 1").await?;
            Ok(())
        })
        .await
    }

    async fn admin(&self) -> Result<Client, tokio_postgres::Error> {
        self.connect(ADMIN.0, ADMIN.1).await
    }

    /// A connection that lives as long as the client.
    async fn connect(&self, user: &str, password: &str) -> Result<Client, tokio_postgres::Error> {
        let mut config = Config::new();
        config
            .host("127.0.0.1")
            .port(self.port)
            .dbname("postgres")
            .user(user)
            .password(password);
        let (client, connection) = config.connect(NoTls).await?;
        // How it ends is seen by the client.
        tokio::spawn(async { drop(connection.await) });
        Ok(client)
    }
}

async fn in_time<T>(work: impl Future<Output = T>) -> Result<T> {
    tokio::time::timeout(PATIENCE, work)
        .await
        .with_context(|| format!("PostgreSQL says nothing for {PATIENCE:?}"))
}

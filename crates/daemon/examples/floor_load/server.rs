//! The server under test: its configuration, its process, and what the kernel says of it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::floor::{FIRST_AGENT, FIRST_DN, QUEUE};

/// Everybody's.
pub const PASSWORD: &str = "load";
/// Who watches the queue.
pub const SUPERVISOR: &str = "supervisor";

/// See the module.
pub struct Server {
    child: Child,
    pid: u32,
    folder: tempfile::TempDir,
    sip: SocketAddr,
    cti: SocketAddr,
    took: Duration,
}

fn free_port() -> Result<u16> {
    for _ in 0..100 {
        let port = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port")
}

/// Passwords are hashed as cheaply as argon2id allows, in this file alone: ten thousand people prove themselves within
/// seconds, and the figures are not those of a password hash.
fn config(sip: u16, http: u16, cti: u16, agents: u32, wrap_up_s: u32) -> Result<String> {
    let params = Params::new(8, 1, 1, None).map_err(|error| anyhow::anyhow!("{error}"))?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash = || {
        let hash = argon2.hash_password(PASSWORD.as_bytes());
        hash.map(|hash| hash.to_string()).map_err(|error| anyhow::anyhow!("{error}"))
    };
    let (last_dn, last_agent) = (FIRST_DN + agents - 1, FIRST_AGENT + agents - 1);
    let mut text = format!(
        r#"
[application]
name = "load"
switch = "load"
listen = ["udp:127.0.0.1:{sip}"]
realm = "load"
cdr-file = "cdr.jsonl"
cti-listen = "127.0.0.1:{cti}"

[TServer]
sip-address = "127.0.0.1"
sip-port = {sip}
authenticate-requests = []
max-expires = 7200
wrap-up-time = {wrap_up_s}

[http]
listen = "127.0.0.1:{http}"

[[trunk]]
name = "outside"
contact = "sip:127.0.0.2:5060"
sources = ["127.0.0.2"]

[[extension]]
numbers = "{FIRST_DN}-{last_dn}"

[[agent-login]]
ids = "{FIRST_AGENT}-{last_agent}"

[[acd-queue]]
number = "{QUEUE}"
agents = ["{FIRST_AGENT}-{last_agent}"]
treatment = "queued"

[[person]]
user = "{SUPERVISOR}"
password-hash = "{}"
role = "supervisor"
"#,
        hash()?
    );
    for agent in 0..agents {
        let (id, hash) = (FIRST_AGENT + agent, hash()?);
        write!(
            text,
            "\n[[person]]\nuser = \"agent{agent}\"\npassword-hash = \"{hash}\"\nrole = \"agent\"\nagent-logins = [\"{id}\"]\n"
        )?;
    }
    Ok(text)
}

impl Server {
    /// Starts it; it serves when this returns.
    pub async fn start(binary: &Path, agents: u32, wrap_up_s: u32) -> Result<Self> {
        let binary = binary.canonicalize().context("no such binary")?;
        let (sip, http, cti) = (free_port()?, free_port()?, free_port()?);
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("load.toml");
        std::fs::write(&path, config(sip, http, cti, agents, wrap_up_s)?)?;
        let log = folder.path().join("log");
        let begun = Instant::now();
        let mut child = Command::new(binary)
            .args(["serve", "--log", "warn,tandem=info", "--config"])
            .arg(&path)
            .current_dir(folder.path())
            .env_remove("RUST_LOG")
            .env("STATE_DIRECTORY", folder.path().join("state"))
            .stderr(File::create(&log)?)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let pid = child.id().context("the server ended at once")?;
        while !std::fs::read_to_string(&log)?.contains("serving") {
            if child.try_wait()?.is_some() || begun.elapsed() > Duration::from_secs(60) {
                bail!("the server does not serve: {}", std::fs::read_to_string(&log)?);
            }
            sleep(Duration::from_millis(20)).await;
        }
        let here = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Ok(Self { child, pid, folder, sip: here(sip), cti: here(cti), took: begun.elapsed() })
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    pub fn sip(&self) -> SocketAddr {
        self.sip
    }

    pub fn cti(&self) -> SocketAddr {
        self.cti
    }

    pub fn took(&self) -> Duration {
        self.took
    }

    /// CPU time of its threads so far, by their names.
    pub fn cpu(&self) -> BTreeMap<String, Duration> {
        let mut threads = BTreeMap::new();
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid)).into_iter().flatten().flatten();
        for task in tasks {
            let read = |file| std::fs::read_to_string(task.path().join(file)).unwrap_or_default();
            let nanos = read("schedstat").split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0);
            *threads.entry(read("comm").trim().to_owned()).or_default() += Duration::from_nanos(nanos);
        }
        threads
    }

    /// Its resident memory, MiB.
    pub fn resident_mib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
    }

    /// Ends it and shows what it complained about.
    pub async fn stop(mut self) -> Result<()> {
        kill(Pid::from_raw(i32::try_from(self.pid)?), Signal::SIGTERM)?;
        let status =
            timeout(Duration::from_secs(10), self.child.wait()).await.context("it does not stop")??;
        let log = std::fs::read_to_string(self.folder.path().join("log"))?;
        let bad: Vec<&str> = log.lines().filter(|l| l.contains(" WARN ") || l.contains("ERROR")).collect();
        println!("the server ended with {status}; it logged {} warnings", bad.len());
        bad.iter().take(5).for_each(|line| println!("  {line}"));
        Ok(())
    }
}

//! The server under test: its configuration, its process on a core of its own, and the processor time that it took.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Time for the server to start.
const STARTS_WITHIN: Duration = Duration::from_secs(120);
/// How often another port is tried.
const ATTEMPTS: usize = 3;
/// The first phone's number.
pub const FIRST: u32 = 100_000;
/// Password of all phones.
pub const PASSWORD: &str = "storm";
/// Who calls, and who is called, while the storm goes on.
pub const CALLER: &str = "1";
/// See [`CALLER`].
pub const CALLEE: &str = "2";

/// See the module.
pub struct Server {
    child: Child,
    folder: tempfile::TempDir,
    /// Where it listens.
    pub sip: SocketAddr,
}

fn config(port: u16, phones: u32) -> String {
    let last = FIRST + phones - 1;
    format!(
        r#"
[application]
name = "storm"
switch = "storm"
listen = ["udp:127.0.0.1:{port}"]
realm = "storm"

[TServer]
sip-address = "127.0.0.1"
sip-port = {port}
authenticate-requests = ["register"]
authenticate-algorithms = ["MD5"]

[http]
listen = "off"

[guard]
allow = ["127.0.0.0/8"]

[[extension]]
numbers = ["{CALLER}", "{CALLEE}", "{FIRST}-{last}"]
password = "{PASSWORD}"
"#
    )
}

impl Server {
    /// Starts it on core 0; it serves when this returns. Its port is free when it is chosen, and may be another's by the
    /// time it listens: then it is another port's turn.
    pub fn start(binary: &Path, phones: u32) -> Result<Self> {
        let binary = binary.canonicalize().with_context(|| format!("no binary {}", binary.display()))?;
        for _ in 1..ATTEMPTS {
            match Self::try_start(&binary, phones) {
                Err(error) if error.to_string().contains("cannot listen") => eprintln!("once more: {error}"),
                started => return started,
            }
        }
        Self::try_start(&binary, phones)
    }

    fn try_start(binary: &Path, phones: u32) -> Result<Self> {
        let port = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("storm.toml");
        std::fs::write(&path, config(port, phones))?;
        let log = folder.path().join("log");
        let child = Command::new("taskset")
            .args(["-c", "0"])
            .arg(binary)
            .args(["serve", "--log", "warn,tandem=info", "--config"])
            .arg(&path)
            .env_remove("RUST_LOG")
            .env("STATE_DIRECTORY", folder.path().join("state"))
            .stderr(File::create(&log)?)
            .stdin(Stdio::null())
            .spawn()
            .context("taskset (util-linux) is needed")?;
        // From here on it is ended with this value, whatever goes wrong.
        let mut server = Self { child, folder, sip: SocketAddr::from((Ipv4Addr::LOCALHOST, port)) };
        let begun = Instant::now();
        loop {
            // Whether it has ended is asked before its log is read, so that its last words are in it.
            let ended = server.child.try_wait()?;
            let said = String::from_utf8_lossy(&std::fs::read(&log)?).into_owned();
            if said.contains("serving") {
                return Ok(server);
            }
            if let Some(status) = ended {
                bail!("the server ended ({status}) before it served:\n{said}");
            }
            if begun.elapsed() > STARTS_WITHIN {
                bail!("the server does not serve after {} s:\n{said}", STARTS_WITHIN.as_secs());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What it logged of the storm.
    pub fn told(&self) -> Result<String> {
        let log = std::fs::read_to_string(self.folder.path().join("log"))?;
        let worth = ["storm of", "the kernel dropped", "receive buffer", "overloaded"];
        let lines = log.lines().filter(|line| worth.iter().any(|words| line.contains(words)));
        Ok(lines.collect::<Vec<_>>().join("\n"))
    }

    /// Processor time of all its threads so far.
    pub fn cpu(&self) -> Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |place: usize| fields.get(place).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        Ok(Duration::from_millis((ticks(11) + ticks(12)) * 10))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

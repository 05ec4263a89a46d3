//! One `tandem serve` on free ports, and the command line that asks it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Longest wait for anything; a test that reaches it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Server {
    child: Child,
    log: Receiver<String>,
    folder: tempfile::TempDir,
    pub sip: u16,
    pub http: u16,
    pub cti: u16,
}

/// A port that is free for UDP and TCP.
fn free_port() -> u16 {
    for _ in 0..100 {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = udp.local_addr().unwrap().port();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port");
}

pub fn config(sip: u16, http: u16, cti: u16, folder: &std::path::Path) -> String {
    format!(
        r#"
[application]
name = "site-t"
switch = "site-t"
listen = ["udp:127.0.0.1:{sip}", "tcp:127.0.0.1:{sip}"]
realm = "tandem"
cti-listen = "127.0.0.1:{cti}"
cdr-file = "{}/cdr.jsonl"

[TServer]
sip-address = "127.0.0.1"
sip-port = {sip}

[http]
listen = "127.0.0.1:{http}"

[[extension]]
numbers = "1001-1010"
password = "secret-{{number}}"

[[agent-login]]
ids = "2001-2010"

[[acd-queue]]
number = "7000"
agents = ["2001-2010"]

[[person]]
user = "jane"
password-hash = "$argon2id$v=19$m=8,t=1,p=1$odK8WKFR2DUZLr1OFc2WvA$rwiNB+HtKnm8JwDAU8FuloSIwWdrBXPnZkf1VMk9z8s"
role = "agent"

[[person]]
user = "boss"
password-hash = "$argon2id$v=19$m=8,t=1,p=1$/tl7yNWJM8g5sta0OVlYqQ$O2xR4TCXUNzVYIQgc+IOMgB8H/wmuRYjuJif219oouI"
role = "supervisor"
"#,
        folder.display()
    )
}

impl Server {
    pub fn start() -> Self {
        Self::start_with(|_, text| text)
    }

    /// Starts with a configuration that `edit` has changed; it may put files into the folder.
    pub fn start_with(edit: impl FnOnce(&std::path::Path, String) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (sip, http, cti) = (free_port(), free_port(), free_port());
        let path = folder.path().join("site.toml");
        let text = edit(folder.path(), config(sip, http, cti, folder.path()));
        std::fs::write(&path, text).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_tandem"))
            .args(["serve", "--log", "info", "--config"])
            .arg(&path)
            .env_remove("RUST_LOG")
            .env("STATE_DIRECTORY", folder.path().join("state"))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = child.stderr.take().unwrap();
        let (sender, log) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let server = Self { child, log, folder, sip, http, cti };
        server.wait_for("serving");
        server
    }

    /// Waits until the log says `what`; answers that line.
    pub fn wait_for(&self, what: &str) -> String {
        loop {
            let line =
                self.log.recv_timeout(PATIENCE).unwrap_or_else(|e| panic!("no log line {what:?}: {e}"));
            if line.contains(what) {
                return line;
            }
        }
    }

    pub fn config_path(&self) -> PathBuf {
        self.folder.path().join("site.toml")
    }

    pub fn config_text(&self) -> String {
        config(self.sip, self.http, self.cti, self.folder.path())
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    pub fn stop(mut self, signal: Signal) -> ExitStatus {
        self.signal(signal);
        self.child.wait().unwrap()
    }

    /// Runs the command line against this server.
    pub fn ask(&self, arguments: &[&str]) -> Output {
        let url = format!("http://127.0.0.1:{}", self.http);
        Command::new(env!("CARGO_BIN_EXE_tandem")).args(arguments).args(["--server", &url]).output().unwrap()
    }

    /// Runs `tandem cti` with these lines as its input.
    pub fn cti_lines(&self, user: &str, password: &str, lines: &str) -> Output {
        let url = format!("ws://127.0.0.1:{}/cti", self.cti);
        let mut child = Command::new(env!("CARGO_BIN_EXE_tandem"))
            .args(["cti", "--user", user, "--wait", "2", "--connect", &url])
            .env("TANDEM_CTI_PASSWORD", password)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    pub fn ask_json(&self, arguments: &[&str]) -> serde_json::Value {
        let output = self.ask(&[arguments, &["--json"]].concat());
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Waits until a metric has this value.
    pub fn metric_becomes(&self, name: &str, value: u64) {
        let begin = Instant::now();
        while self.metric(name) != value {
            assert!(begin.elapsed() < PATIENCE, "{name} is {}", self.metric(name));
            std::thread::yield_now();
        }
    }

    /// A sample of the metrics.
    pub fn metric(&self, name: &str) -> u64 {
        let (_, page) = self.get("/metrics");
        let line =
            page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).map(str::to_owned);
        line.unwrap_or_else(|| panic!("no {name}")).parse().unwrap()
    }

    /// GETs a page: status line and body.
    pub fn get(&self, path: &str) -> (String, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.http)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.lines().next().unwrap().to_owned(), body.to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

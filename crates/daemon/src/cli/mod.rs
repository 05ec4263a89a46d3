//! The command line.

pub mod client;
pub mod cti;
mod drain;
mod drill;
mod guard;
mod ha;
mod migrate;
mod paged;
mod readiness;
mod show;
mod show_floor;
mod stat;
mod state;
mod table;
mod witness;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use tandem_switch::Directory;

use crate::config::{self, LogFormat, Origin, Site};
use crate::drill::plan::Plan;
use crate::limits::{MAX_HASH_ITERATIONS, MAX_HASH_MEMORY_KIB};
use crate::{log, password, serve};
pub use drill::ABORTED as DRILL_ABORTED;
pub use show::say;

/// How the program ends; `EXIT_CODES` explains it to the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Something failed while serving or asking.
    Failed = 1,
    /// `tandem readiness` has no verdict; a wrong command line ends so too.
    NotAsked = 2,
    /// The configuration is wrong.
    Configuration = 3,
    /// No server answers.
    Unreachable = 4,
    /// The server does not know what was asked for.
    Unknown = 5,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  something failed; standard error says what
  2  the command line is wrong
  3  the configuration is wrong
  4  no server answers at --server
  5  the server does not know what was asked for";

const EXAMPLES: &str = "\
Examples:
  tandem serve --demo site-a                 a server on 127.0.0.1 with Extensions 1001 to 1020
  tandem serve --demo site-b                 its peer on 127.0.0.2, in another terminal
  tandem status                              what site A believes now
  tandem --server http://127.0.0.2:8060 status
                                             what site B believes now
  tandem reg list                            who is registered, and where
  tandem why 3848276298220188511@phone       why that call went where it went
  tandem check --config /etc/tandem/site.toml && systemctl reload tandem
";

/// A SIP server for two sites that must never both go quiet.
#[derive(Debug, Parser)]
#[command(name = "tandem", version, after_help = format!("{EXAMPLES}\n{EXIT_CODES}"))]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Administration interface of the running server that is asked
    #[arg(
        long,
        global = true,
        env = "TANDEM_SERVER",
        default_value = "http://127.0.0.1:8060",
        value_name = "URL"
    )]
    server: String,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a server until SIGTERM or Ctrl-C; SIGHUP reloads the configuration
    #[command(after_help = "\
Logs go to standard error. SIGHUP reads the configuration anew and applies it whole, or not at all.

Examples:
  tandem serve --config /etc/tandem/site.toml
  tandem serve --demo site-a --log debug")]
    Serve(Serve),
    /// Read a configuration, say everything that is wrong with it, and stop
    #[command(after_help = "\
Each error names file, line, column and key, and says what would be right. Nothing is opened or resolved.

Examples:
  tandem check --config /etc/tandem/site.toml
  tandem check --config /etc/tandem/site.toml --drill drill.toml    also: whether this site has the parties of a drill")]
    Check(Check),
    /// What the server believes now: mode, calls, registrations, trunks
    Status(Shape),
    /// DNs: Extensions and Trunks, in or out of service, and why
    #[command(subcommand)]
    Dn(Paged),
    /// Registrations: which contact of which DN, and for how long
    #[command(subcommand)]
    Reg(Paged),
    /// Calls that exist now
    #[command(subcommand)]
    Call(List),
    /// Trunks: gateways and the peer site
    #[command(subcommand)]
    Trunk(List),
    /// Agents: who is logged in, in which state, and why he gets calls or none
    #[command(
        subcommand,
        after_help = "\
Examples:
  tandem agent list          who is logged in, and whether a queue may offer him a call
  tandem agent why 2001      what he was offered, what passed him by, and what keeps him from the next call
  tandem agent why 1001      the same, by the DN that he works at"
    )]
    Agent(Agent),
    /// ACD Queues and Routing Points: calls that wait, agents that serve them
    #[command(
        subcommand,
        after_help = "\
WAITING counts the calls that wait, RINGING those of them that ring at an agent; AGENTS are those logged in who serve the
queue, AVAILABLE those of them who may be offered a call now.

Examples:
  tandem queue list
  tandem call list           the Call-ID of a call that waits
  tandem why CALL_ID         where it waits, and whom it was offered to"
    )]
    Queue(List),
    /// Sessions of the CTI interface: who is connected
    #[command(
        subcommand,
        after_help = "\
STATE is \"away\" while the client may come back and resume; DNS counts the DNs that it has registered, EVENTS what it was
told so far.

Example:
  tandem session list"
    )]
    Session(List),
    /// Who is locked out after wrong credentials
    #[command(subcommand, after_help = guard::HELP)]
    Guard(guard::Guard),
    /// Why a call went where it went: every decision, and what was considered
    #[command(after_help = "\
The Call-ID is that of any leg: logs, call records and `tandem call list` show it. Desktops and `tandem agent why` name calls by
their ConnID, which does as well. Calls that ended lately are still known.

Examples:
  tandem why 3848276298220188511@phone
  tandem why 3f8b262000000002")]
    Why {
        /// Call-ID of one of the call's legs, its CallUUID, or its ConnID
        call_id: String,
        #[command(flatten)]
        shape: Shape,
    },
    /// Shut a site down gracefully: nothing new in, what runs ends by itself, agents move to the other site
    #[command(after_help = drain::HELP)]
    Drain(drain::Drain),
    /// Move a share of the calls and agents to the other site, and back
    #[command(after_help = migrate::HELP)]
    Migrate(migrate::Migrate),
    /// Whether this site, or its peer, may be lost now: who and what would be lost with it, and what to do about it
    #[command(after_help = readiness::HELP)]
    Readiness(readiness::Readiness),
    /// Rehearse the loss of a site, or of the link between the sites, on a running pair
    #[command(after_help = drill::HELP)]
    Drill(drill::Drill),
    /// Vote in the group of a site's servers, on a third machine: never serves, and lets the right one serve
    #[command(after_help = witness::HELP)]
    Witness(witness::Witness),
    /// The servers of one site that stand in for each other, and the addresses that move between them
    #[command(subcommand, after_help = ha::HELP)]
    Ha(ha::Ha),
    /// What a server keeps on its disk, read without the server
    #[command(subcommand, after_help = state::HELP)]
    State(state::State),
    /// Talk to the CTI interface by hand: JSON requests from standard input, events to standard output
    #[command(after_help = cti::HELP)]
    Cti(cti::Line),
    /// Statistics: run the service, or show what it knows
    #[command(after_help = "\
The service is a client of the CTI servers that [stat] names. Several may run with the same file: the one that holds the
lock beside the database writes the history, and another goes on when it ends.

Examples:
  tandem stat --config /etc/tandem/stat.toml
  tandem stat show
  tandem stat show --json --stat http://127.0.0.1:8070")]
    Stat(stat::Stat),
    /// Hash a password for `password-hash` of a [[person]]
    #[command(
        name = "hash-password",
        after_help = "\
Asks for the password on a terminal, twice and without showing it; else reads one line of standard input. Prints an
argon2id hash. Its cost is paid at each login: with the defaults about 20 ms and 19 MiB.

Examples:
  tandem hash-password
  printf '%s\\n' \"$PASSWORD\" | tandem hash-password"
    )]
    HashPassword {
        /// Memory that one check takes, KiB
        #[arg(long, default_value_t = 19_456, value_name = "KIB",
            value_parser = clap::value_parser!(u32).range(8..=i64::from(MAX_HASH_MEMORY_KIB)))]
        memory: u32,
        /// Passes over that memory
        #[arg(long, default_value_t = 2, value_name = "N",
            value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_HASH_ITERATIONS)))]
        iterations: u32,
    },
    /// Print a completion script for a shell
    #[command(after_help = "\
Examples:
  tandem completion bash > /etc/bash_completion.d/tandem
  tandem completion zsh > ~/.zfunc/_tandem
  tandem completion fish > ~/.config/fish/completions/tandem.fish")]
    Completion {
        /// bash, zsh, fish, …
        shell: Shell,
    },
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Source {
    /// Configuration file (TOML); config/example.toml explains every key
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A site of the built-in demonstration, without any file
    #[arg(long, value_name = "SITE")]
    demo: Option<Site>,
}

#[derive(Debug, Args)]
struct Check {
    #[command(flatten)]
    source: Source,
    /// Plan of a drill whose parties this site must have
    #[arg(long, value_name = "FILE")]
    drill: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Serve {
    #[command(flatten)]
    source: Source,
    /// Log filter, such as debug or info,tandem=debug; wins over RUST_LOG and the configuration
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
    /// Shape of log lines; wins over the configuration
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
}

#[derive(Debug, Subcommand)]
enum List {
    /// List them
    List(Shape),
}

#[derive(Debug, Subcommand)]
enum Agent {
    /// List them
    #[command(after_help = "\
STATE and WORK MODE are as desktops are told (docs/cti.md); Busy... says what follows the call. ENDS IN is the rest of timed
after-call work, AVAILABLE whether a queue may offer him a call, PHONE whether his phone is in service at this site, REASON what
he or the server gave for being not ready.")]
    List(Shape),
    /// Why an agent was, or was not, offered calls
    #[command(after_help = "\
Example:
  tandem agent why 2001")]
    Why {
        /// AgentID, or the DN that he works at
        agent: String,
        #[command(flatten)]
        shape: Shape,
    },
}

#[derive(Clone, Copy, Debug, Args)]
struct Shape {
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Paged {
    /// List them
    #[command(after_help = paged::HELP)]
    List(paged::Pages),
}

impl Source {
    fn origin(&self) -> Option<Origin> {
        let file = self.config.clone().map(Origin::File);
        file.or_else(|| self.demo.map(Origin::Demo))
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Runs what the command line asks for.
pub fn run() -> ExitCode {
    let Cli { command, server } = Cli::parse();
    let ask = |path: &str, shape: Shape, show| show::ask(&server, path, shape.json, show);
    let exit = match command {
        Command::Serve(serve) => run_serve(&serve),
        Command::Check(check) => run_check(&check),
        Command::Status(shape) => ask("/api/status", shape, show::status),
        Command::Dn(Paged::List(pages)) => paged::ask(&server, "/api/dn", &pages, show::dn),
        Command::Reg(Paged::List(pages)) => paged::ask(&server, "/api/reg", &pages, show::reg),
        Command::Call(List::List(shape)) => ask("/api/call", shape, show::call),
        Command::Trunk(List::List(shape)) => ask("/api/trunk", shape, show::trunk),
        Command::Agent(Agent::List(shape)) => ask("/api/agent", shape, show_floor::agent),
        Command::Agent(Agent::Why { agent, shape }) => {
            ask(&format!("/api/agent/{}", client::escape(&agent)), shape, show_floor::agent_why)
        }
        Command::Queue(List::List(shape)) => ask("/api/queue", shape, show_floor::queue),
        Command::Session(List::List(shape)) => ask("/api/session", shape, show_floor::session),
        Command::Why { call_id, shape } => {
            ask(&format!("/api/why/{}", client::escape(&call_id)), shape, show::why)
        }
        Command::Guard(guard) => guard::run(&server, &guard),
        Command::Drain(drain) => drain::run(&server, &drain),
        Command::Migrate(migrate) => migrate::run(&server, &migrate),
        Command::Readiness(readiness) => readiness::run(&server, &readiness),
        Command::Drill(drill) => return drill::run(&server, drill),
        Command::Witness(witness) => witness::run(&witness),
        Command::Ha(ha) => ha::run(&server, ha),
        Command::State(state) => state::run(state),
        Command::Cti(line) => cti::run(&line),
        Command::Stat(arguments) => stat::run(arguments),
        Command::HashPassword { memory, iterations } => run_hash_password(memory, iterations),
        Command::Completion { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "tandem", &mut std::io::stdout());
            Exit::Done
        }
    };
    exit.into()
}

fn run_serve(arguments: &Serve) -> Exit {
    let Some(origin) = arguments.source.origin() else { return Exit::Failed };
    let secret = match serve::random() {
        Ok(secret) => secret,
        Err(error) => return failed(&format!("no randomness from /dev/urandom: {error}")),
    };
    let config = match config::load(&origin, secret) {
        Ok(config) => config,
        Err(error) => return misconfigured(&error),
    };
    let format = arguments.log_format.unwrap_or(config.settings.log_format);
    if let Err(error) = log::start(arguments.log.as_deref(), &config.settings.log_level, format) {
        return failed(&error);
    }
    match serve::serve(&origin, config) {
        Ok(()) => Exit::Done,
        Err(error) => failed(&format!("{error:#}")),
    }
}

fn run_hash_password(memory_kib: u32, iterations: u32) -> Exit {
    let twice = std::io::stdin().is_terminal();
    let found = password::read("Password: ").and_then(|first| {
        if twice && password::read("Again: ")? != first {
            return Err(std::io::Error::other("the two passwords differ"));
        }
        Ok(first)
    });
    let hash = found.map_err(|error| error.to_string());
    match hash.and_then(|password| password::hash(&password, memory_kib, iterations)) {
        Ok(hash) => {
            say(&format!("{hash}\n"));
            Exit::Done
        }
        Err(error) => failed(&error),
    }
}

/// Whether the configuration has what a drill needs.
fn check_plan(path: &Path, directory: &Directory) -> Result<String, String> {
    let plan = Plan::load(path)?;
    let missing = plan.missing(directory);
    if missing.is_empty() {
        return Ok(format!("{}: fine: {} phones, and a gateway\n", path.display(), plan.seats.len()));
    }
    Err(format!("the parties of {} are not all configured here:\n  {}", path.display(), missing.join("\n  ")))
}

fn run_check(check: &Check) -> Exit {
    let Some(origin) = check.source.origin() else { return Exit::Failed };
    match config::load(&origin, [0; 32]) {
        Ok(config) => {
            let (directory, floor) = (&config.directory, config.directory.floor());
            say(&format!(
                "{origin}: fine: server {}, {} Extensions, {} Trunks, {} dial rules; {} persons, {} Agent Logins, \
                 {} queues, {} Routing Points\n",
                directory.server.name,
                directory.extensions().len(),
                directory.trunks().len(),
                directory.dial_plan().len(),
                floor.persons.len(),
                floor.logins.len(),
                floor.queues.len(),
                floor.routing_points.len(),
            ));
            match check.drill.as_deref().map(|plan| check_plan(plan, directory)) {
                Some(Ok(fine)) => say(&fine),
                Some(Err(why)) => {
                    eprintln!("tandem: {why}");
                    return Exit::Configuration;
                }
                None => {}
            }
            Exit::Done
        }
        Err(error) => misconfigured(&error),
    }
}

fn misconfigured(error: &config::ConfigError) -> Exit {
    eprint!("{error}");
    let plural = if error.faults == 1 { "" } else { "s" };
    eprintln!("{} error{plural} in the configuration", error.faults);
    Exit::Configuration
}

fn failed(text: &str) -> Exit {
    eprintln!("tandem: {text}");
    Exit::Failed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn serve_wants_one_source() {
        assert!(parse("tandem serve --config a.toml").is_ok());
        assert!(parse("tandem serve --demo site-b --log-format json").is_ok());
        assert!(parse("tandem serve").is_err());
        assert!(parse("tandem serve --config a.toml --demo site-a").is_err());
        assert!(parse("tandem serve --demo site-c").is_err());
        assert!(parse("tandem check").is_err());
    }

    #[test]
    fn every_view_can_be_asked_as_json_and_of_another_server() {
        for view in [
            "status",
            "dn list",
            "reg list",
            "call list",
            "trunk list",
            "why abc@host",
            "agent list",
            "agent why 2001",
            "queue list",
            "session list",
            "guard list",
        ] {
            assert!(parse(&format!("tandem {view}")).is_ok(), "{view}");
            let cli = parse(&format!("tandem {view} --json --server http://127.0.0.2:8060")).unwrap();
            assert_eq!(cli.server, "http://127.0.0.2:8060");
        }
        assert!(parse("tandem why").is_err());
        assert!(parse("tandem dn").is_err());
    }

    #[test]
    fn a_drain_wants_somebody_who_may_or_only_looks() {
        for line in
            ["--status", "--status --json", "--user admin", "--user admin --wait", "--user admin --abort"]
        {
            assert!(parse(&format!("tandem drain {line}")).is_ok(), "{line}");
        }
        for line in ["--status --abort", "--user admin --abort --wait"] {
            assert!(parse(&format!("tandem drain {line}")).is_err(), "{line}");
        }
    }

    #[test]
    fn a_migration_has_an_aim_or_is_one_of_its_orders() {
        for line in [
            "--to b --percent 30 --user admin",
            "--to b --percent 30 --group late --step 10 --every 60 --user admin --wait",
            "--status",
            "--pause --user admin",
            "--roll-back --user admin",
        ] {
            assert!(parse(&format!("tandem migrate {line}")).is_ok(), "{line}");
        }
        for line in [
            "",
            "--to b --user admin",
            "--percent 30 --user admin",
            "--to b --percent 101 --user admin",
            "--to b --percent 30",
            "--pause --abort --user admin",
            "--pause --percent 5 --user admin",
            "--to b --percent 5 --step 0 --user admin",
        ] {
            assert!(parse(&format!("tandem migrate {line}")).is_err(), "{line}");
        }
    }

    #[test]
    fn keepalived_and_systemd_have_their_words() {
        for line in [
            "status --json",
            "found --config a.toml",
            "add 192.0.2.12:5071 --user admin",
            "add 192.0.2.12:5071 --replace backup --user admin",
            "remove backup witness --user admin",
            "switchover --to backup --force --user admin",
            "takeover --force --user admin",
            "rejoin --user admin",
            "address --json",
            "check",
            "check --within 500",
            "notify master --user keepalived",
            "notify backup --user keepalived",
            "notify fault --user keepalived",
            "sweep --config a.toml",
            "hold --config a.toml --for 10",
            "hold --config a.toml --wait",
            "certificates --out members primary=192.0.2.11 backup=192.0.2.12 witness=w.example",
        ] {
            assert!(parse(&format!("tandem ha {line}")).is_ok(), "{line}");
        }
        for line in [
            "",
            "found",
            "remove --user admin",
            "notify leader --user keepalived",
            "sweep",
            "check --within 0",
            "hold --config a.toml --for 0",
            "certificates --out members",
            "certificates primary=192.0.2.11",
            "certificates --out members primary=192.0.2.11:5071",
        ] {
            assert!(parse(&format!("tandem ha {line}")).is_err(), "{line}");
        }
    }

    #[test]
    fn statistics_run_by_a_file_or_are_shown() {
        assert!(parse("tandem stat --config stat.toml").is_ok());
        assert!(parse("tandem stat show --json").is_ok());
        assert!(parse("tandem stat").is_err());
        assert!(parse("tandem stat --config stat.toml show").is_err());
    }

    #[test]
    fn completions_exist_for_the_usual_shells() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "tandem", &mut script);
            let script = String::from_utf8(script).unwrap();
            assert!(script.contains("status") && script.contains("trunk"), "{shell}");
        }
    }
}

//! `tandem witness`.

use std::path::PathBuf;

use clap::Args;

use super::{Exit, failed, misconfigured};
use crate::config::{self, LogFormat, Origin};
use crate::{log, witness};

pub const HELP: &str = "\
A pair cannot tell a dead partner from a cut cable; with a third voice it can. The witness keeps what the servers agree on, on its
own disk, and needs little: a small virtual machine that fails for other reasons than either server. SIGHUP reads the certificates
anew. docs/ha.md says more.

Example:
  tandem witness --config /etc/tandem/witness.toml
  tandem ha add 192.0.2.13:5071 --user admin          on the server that serves, once";

#[derive(Debug, Args)]
pub struct Witness {
    /// Configuration file (TOML) with [witness]; config/witness.toml explains every key
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Log filter, such as debug or info,tandem=debug; wins over RUST_LOG and the configuration
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
    /// Shape of log lines; wins over the configuration
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
}

/// Runs it.
pub fn run(arguments: &Witness) -> Exit {
    let config = match config::load_witness(&Origin::File(arguments.config.clone())) {
        Ok(config) => config,
        Err(error) => return misconfigured(&error),
    };
    let format = arguments.log_format.unwrap_or(config.log_format);
    if let Err(error) = log::start(arguments.log.as_deref(), &config.log_level, format) {
        return failed(&error);
    }
    match witness::run(&config) {
        Ok(()) => Exit::Done,
        Err(error) => failed(&format!("{error:#}")),
    }
}

//! `tandem ha`: the servers of one site that stand in for each other.

mod address;
mod certificates;
mod group;
mod hold;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;

use super::client::{self, Person};
use super::{Exit, drain, failed, misconfigured, say, show};
use crate::config::{self, Origin, VirtualAddress};
use crate::edges::address::sweep;
use crate::edges::address::told::VrrpState;

pub const HELP: &str = "\
docs/ha.md says how the pieces fit together.

Examples:
  tandem ha status                                   who serves, who could take over, and why not
  tandem ha certificates --out members primary=192.0.2.11 backup=192.0.2.12 witness=192.0.2.13
                                                     once for a new site: by these the members know each other
  tandem ha found --config /etc/tandem/site.toml     once for a new site, before its primary starts for the first time
  tandem ha add 192.0.2.12:5071 --user admin         the backup, or the witness, joins
  tandem ha switchover --user admin                  the other server serves: for an upgrade at noon
  tandem ha address                                  where the virtual addresses are, and since when
  tandem ha check                                    for keepalived's vrrp_script: exit code 0 while the server takes calls
  tandem ha notify master --user keepalived          for keepalived's notify_master
  tandem ha sweep --config /etc/tandem/site.toml     for systemd's ExecStopPost
  tandem ha hold --config /etc/tandem/site.toml --for 10
                                                     try it: take the addresses for 10 s, without a server";

#[derive(Debug, Subcommand)]
pub enum Ha {
    /// Who serves, who could take over now, and why not
    #[command(after_help = group::STATUS_HELP)]
    Status {
        /// Print the server's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Begin the group of a new site: once, on the machine of its primary, before that starts for the first time
    #[command(after_help = group::FOUND_HELP)]
    Found(File),
    /// A server or a witness joins the group; asked of the server that serves
    #[command(after_help = group::ADD_HELP)]
    Add {
        /// Its member-address
        #[arg(value_name = "HOST:PORT")]
        address: String,
        /// The member whose place and vote it takes, once it has caught up: a machine that was lost, or its disk
        #[arg(long, value_name = "MEMBER")]
        replace: Option<String>,
        #[command(flatten)]
        by: group::By,
    },
    /// Members leave the group; asked of the server that serves
    #[command(after_help = group::REMOVE_HELP)]
    Remove {
        /// Names, ids or addresses, as `tandem ha status` shows them
        #[arg(value_name = "MEMBER", required = true)]
        members: Vec<String>,
        #[command(flatten)]
        by: group::By,
    },
    /// The other server serves: nothing is lost by it; asked of the server that serves
    #[command(after_help = group::SWITCHOVER_HELP)]
    Switchover {
        /// Which, if there are several
        #[arg(long, value_name = "MEMBER")]
        to: Option<String>,
        /// Also if it is not ready
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        by: group::By,
    },
    /// This server serves, though no votes decide so: where arbitration is manual, and the primary is lost
    #[command(after_help = group::TAKEOVER_HELP)]
    Takeover {
        /// Also if another server is heard to serve
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        by: group::By,
    },
    /// This server gives up what it has and joins the group anew: after a takeover by command made it a thing of the past
    #[command(after_help = group::REJOIN_HELP)]
    Rejoin {
        #[command(flatten)]
        by: group::By,
    },
    /// Where the virtual addresses are, and since when
    #[command(after_help = "\
HELD says whether this server has put the address on this machine; CLAIMED BY names another machine that said within the last
minute that it has it.")]
    Address {
        /// Print the server's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Whether the server takes calls, by the exit code: for keepalived's vrrp_script
    #[command(after_help = "\
Asks /ready of the administration interface. Exit codes: 0 it takes calls; 1 it does not (standard error says why); 4 it does not
answer.

Example, in keepalived.conf:
  vrrp_script tandem { script \"/usr/bin/tandem ha check\" interval 1 timeout 2 fall 1 rise 2 }")]
    Check {
        /// How long to wait for its answer, ms
        #[arg(long, default_value_t = 1_000, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=60_000))]
        within: u64,
    },
    /// Tell the server what keepalived says of the virtual addresses: for its notify_master, notify_backup and notify_fault
    #[command(after_help = "\
Needs virtual-address-by = \"notify\" and a person with the role administrator; the password comes from TANDEM_CTI_PASSWORD, or is
asked for on a terminal. The last word stands in `tandem ha address` and in the log.

Example, in keepalived.conf:
  notify_master \"/usr/bin/env TANDEM_CTI_PASSWORD=... /usr/bin/tandem ha notify master --user keepalived\"")]
    Notify {
        /// What it says
        state: VrrpState,
        /// User name of an administrator
        #[arg(long, env = "TANDEM_CTI_USER", value_name = "NAME")]
        user: String,
    },
    /// Take away virtual addresses that a killed server left on this machine: for systemd's ExecStopPost
    #[command(after_help = "\
Removes addresses that end by themselves within seconds, as every address does that a server adds; one that somebody else
configured stays. A server that runs meanwhile puts its own back within half a second. Needs CAP_NET_ADMIN.")]
    Sweep(File),
    /// Hold the virtual addresses without a server, to try a configuration, rights and neighbours
    #[command(after_help = "\
Takes the addresses as a server would, until Ctrl-C or the end of standard input. Lines that it reads: drop (away with them), hold
(take them again). With --for there is one lease, which nobody extends. Never run it beside a server with the same addresses,
here or elsewhere. Needs CAP_NET_ADMIN and CAP_NET_RAW.")]
    Hold {
        #[command(flatten)]
        file: File,
        /// One lease of so many seconds
        #[arg(long = "for", value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
        lease_s: Option<u64>,
        /// Do not take them before the line hold
        #[arg(long, conflicts_with = "lease_s")]
        wait: bool,
    },
    /// Make the certificates by which primary, backup and witness know each other
    #[command(after_help = certificates::HELP)]
    Certificates(certificates::Certificates),
}

#[derive(Debug, Args)]
pub struct File {
    /// Configuration of the server
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// Runs it.
pub fn run(server: &str, ha: Ha) -> Exit {
    match ha {
        Ha::Status { json } => group::status(server, json),
        Ha::Found(file) => file.found(),
        Ha::Add { address, replace, by } => {
            by.order(server, &json!({ "action": "add", "address": address, "replace": replace }))
        }
        Ha::Remove { members, by } => by.order(server, &json!({ "action": "remove", "members": members })),
        Ha::Switchover { to, force, by } => {
            by.switch_over(server, &json!({ "action": "switchover", "to": to, "force": force }))
        }
        Ha::Takeover { force, by } => by.take_over(server, &json!({ "action": "takeover", "force": force })),
        Ha::Rejoin { by } => by.order(server, &json!({ "action": "rejoin" })),
        Ha::Address { json } => show::ask(server, PATH, json, address::shown),
        Ha::Check { within } => check(server, Duration::from_millis(within)),
        Ha::Notify { state, user } => notify(server, state, &user),
        Ha::Sweep(file) => file.with_addresses(sweep_all),
        Ha::Hold { file, lease_s, wait } => {
            file.with_addresses(|wanted| hold::run(wanted, lease_s.map(Duration::from_secs), wait))
        }
        Ha::Certificates(wanted) => certificates::run(&wanted),
    }
}

const PATH: &str = "/api/ha/address";

impl File {
    fn found(&self) -> Exit {
        match config::load(&Origin::File(self.config.clone()), [0; 32]) {
            Ok(config) => group::found(&config),
            Err(error) => misconfigured(&error),
        }
    }

    fn with_addresses(&self, act: impl FnOnce(&VirtualAddress) -> Exit) -> Exit {
        match config::load(&Origin::File(self.config.clone()), [0; 32]) {
            Ok(config) => match &config.settings.ha.address {
                Some(wanted) => act(wanted),
                None => {
                    say("no virtual address is configured\n");
                    Exit::Done
                }
            },
            Err(error) => misconfigured(&error),
        }
    }
}

fn check(server: &str, within: Duration) -> Exit {
    match client::ready(server, within) {
        Ok(Ok(())) => Exit::Done,
        Ok(Err(why)) => failed(&format!("not ready: {why}")),
        Err(error) => show::refused(&error),
    }
}

fn notify(server: &str, state: VrrpState, user: &str) -> Exit {
    let password = match drain::password(user) {
        Ok(password) => password,
        Err(why) => return failed(&why),
    };
    let person = Person { user, password: &password };
    match client::post(server, PATH, &person, &json!({ "state": state })) {
        Ok(_) => Exit::Done,
        Err(error) => show::refused(&error),
    }
}

fn sweep_all(wanted: &VirtualAddress) -> Exit {
    match sweep(&wanted.addresses) {
        Ok((removed, foreign)) => {
            for ip in &removed {
                say(&format!("{ip} removed\n"));
            }
            for ip in &foreign {
                say(&format!("{ip} is somebody else's, and stays\n"));
            }
            if removed.is_empty() && foreign.is_empty() {
                say("no virtual address is left over\n");
            }
            Exit::Done
        }
        Err(error) => failed(&error.to_string()),
    }
}

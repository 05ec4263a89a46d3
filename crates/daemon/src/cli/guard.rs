//! `tandem guard`: who is locked out, and letting somebody try again.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::{self, Person};
use super::show::{self, Row, items, list, plain, seconds};
use super::table::{self, Tone};
use super::{Exit, Shape, drain};

/// Said below the help.
pub const HELP: &str = "\
A lock-out ends by itself after lockout-time of [guard]. It ends the same way for a phone with a new password: release its
source. What a firewall has banned (fail2ban) is released there.

Examples:
  tandem guard list
  tandem guard release 203.0.113.7 --user admin        asks for his password, or takes TANDEM_CTI_PASSWORD";

/// `tandem guard`.
#[derive(Debug, Subcommand)]
pub enum Guard {
    /// Who is locked out: the source, the user or all of them, and for how long still
    List(Shape),
    /// Let a source try again, with all its users
    Release(Release),
}

/// `tandem guard release`.
#[derive(Debug, Args)]
pub struct Release {
    /// Its address; of an IPv6 source any address of its /64
    source: std::net::IpAddr,
    /// An administrator
    #[arg(long)]
    user: String,
}

const PATH: &str = "/api/guard";

/// Runs it.
pub fn run(server: &str, guard: &Guard) -> Exit {
    match guard {
        Guard::List(shape) => show::ask(server, PATH, shape.json, lock_outs),
        Guard::Release(release) => {
            let password = match drain::password(&release.user) {
                Ok(password) => password,
                Err(why) => {
                    eprintln!("tandem: {why}");
                    return Exit::Failed;
                }
            };
            let person = Person { user: &release.user, password: &password };
            let order = json!({ "action": "release", "source": release.source });
            match client::post(server, PATH, &person, &order) {
                Ok(answer) => {
                    show::say(&lock_outs(&answer, table::colours()));
                    Exit::Done
                }
                Err(error) => show::refused(&error),
            }
        }
    }
}

fn lock_outs(answer: &Value, colours: bool) -> String {
    let row = |lock: &Value| -> Row {
        let user = match lock.get("user").and_then(Value::as_str) {
            Some(_) => plain(lock, "user"),
            None => ("(all)".to_owned(), Tone::Bad),
        };
        vec![plain(lock, "source"), user, plain(lock, "failures"), seconds(lock, "for_s")]
    };
    let rows: Vec<Row> = items(answer).map(row).collect();
    list(&["SOURCE", "USER", "FAILURES", "FOR"], &rows, "nobody is locked out", colours)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_out_shows_whom_it_concerns_and_how_long_it_lasts() {
        let answer = json!([
            { "source": "203.0.113.7", "user": null, "failures": 50, "for_s": 65 },
            { "source": "2001:db8::", "user": "1001", "failures": 5, "for_s": 9 },
        ]);
        let shown = lock_outs(&answer, false);
        for part in ["203.0.113.7", "(all)", "50", "1m05s", "2001:db8::", "1001", "9s"] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        assert_eq!(lock_outs(&json!([]), false), "nobody is locked out\n");
    }
}

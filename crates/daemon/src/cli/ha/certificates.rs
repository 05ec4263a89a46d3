//! `tandem ha certificates`: an authority for the members of one site, and a certificate for each.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use clap::Args;

use super::super::{Exit, failed, say};
use crate::edges::members::authority::{Authority, Made};

pub const HELP: &str = "\
Makes DIR/ca.pem and DIR/ca.key, unless they are there already, and NAME.pem and NAME.key for each member. Nothing is overwritten.
A member is named as you like; its host is that of its member-address, an IP address or a name, or several with commas between them.

Examples:
  tandem ha certificates --out members primary=192.0.2.11 backup=192.0.2.12 witness=192.0.2.13
  tandem ha certificates --out members backup2=192.0.2.14      later, by the same authority: for a machine that takes another's place";

#[derive(Debug, Args)]
pub struct Certificates {
    /// Directory that they are written to; it is made for you alone (0700)
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// How long the members' certificates are valid
    #[arg(long, default_value_t = 3_650, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: u32,
    /// Members, with the hosts that the others reach them at
    #[arg(required = true, value_name = "NAME=HOST", value_parser = member)]
    members: Vec<Member>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Member {
    name: String,
    hosts: Vec<String>,
}

fn member(text: &str) -> Result<Member, String> {
    let (name, hosts) = text.split_once('=').ok_or("is not NAME=HOST, such as primary=192.0.2.11")?;
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if name.is_empty() || !name.chars().all(fine) {
        return Err(format!("\"{name}\" cannot name a file: letters, digits, - and _ can"));
    }
    if name == "ca" {
        return Err("\"ca\" is the authority's".to_owned());
    }
    let hosts = hosts.split(',').map(host).collect::<Result<_, _>>()?;
    Ok(Member { name: name.to_owned(), hosts })
}

fn host(text: &str) -> Result<String, String> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    match rustls::pki_types::ServerName::try_from(bare) {
        Ok(_) => Ok(bare.to_owned()),
        Err(_) if bare.contains(':') => Err(format!("\"{text}\": a certificate names hosts, without ports")),
        Err(_) => Err(format!("\"{text}\" is neither a host name nor an address")),
    }
}

/// Runs it.
pub fn run(wanted: &Certificates) -> Exit {
    match make(wanted) {
        Ok(told) => {
            say(&told);
            Exit::Done
        }
        Err(why) => failed(&why),
    }
}

/// Makes and writes them; says what to do with each.
fn make(wanted: &Certificates) -> Result<String, String> {
    let Certificates { out, days, members } = wanted;
    let (authority, is_new) = authority(out)?;
    let mut files: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, Made { certificate, key }: Made| {
        files.push((format!("{name}.pem"), certificate));
        files.push((format!("{name}.key"), key));
    };
    if is_new {
        add("ca", authority.made());
    }
    for Member { name, hosts } in members {
        let made = authority.member(name, hosts, *days);
        add(name, made.map_err(|error| format!("{name}: {error}"))?);
    }
    write_all(out, &files)?;
    Ok(told(out, members, is_new))
}

/// The one that is there, or a new one. True: it is new.
fn authority(out: &Path) -> Result<(Authority, bool), String> {
    let (certificate, key) = (out.join("ca.pem"), out.join("ca.key"));
    if !certificate.exists() && !key.exists() {
        return Authority::new().map(|new| (new, true)).map_err(|error| error.to_string());
    }
    let read = |file: &Path| fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()));
    let loaded = Authority::load(&read(&certificate)?, &read(&key)?);
    loaded.map(|known| (known, false)).map_err(|error| format!("{}: {error}", out.display()))
}

/// All of them, or none.
fn write_all(out: &Path, files: &[(String, String)]) -> Result<(), String> {
    let failed = |file: &Path, error: &io::Error| {
        let known = error.kind() == io::ErrorKind::AlreadyExists;
        let why = match known {
            true => "it is there already, and not overwritten: remove it, or name another --out".to_owned(),
            false => error.to_string(),
        };
        format!("{}: {why}", file.display())
    };
    DirBuilder::new().recursive(true).mode(0o700).create(out).map_err(|error| failed(out, &error))?;
    let mut written = Vec::new();
    for (name, text) in files {
        let file = out.join(name);
        if let Err(error) = write(&file, text) {
            for undone in &written {
                // What cannot be removed is named by the next attempt.
                let _ = fs::remove_file(undone);
            }
            return Err(failed(&file, &error));
        }
        written.push(file);
    }
    Ok(())
}

fn write(file: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?.write_all(text.as_bytes())
}

fn told(out: &Path, members: &[Member], is_new: bool) -> String {
    let dir = out.display();
    let made = if is_new { "Made an authority and" } else { "Signed by the authority that was there:" };
    let mut told = format!("{made} {} in {dir}.\n", of(members.len()));
    for Member { name, hosts } in members {
        told.push_str(&format!(
            "\nTo the machine of {name} ({}), readable for the user that Tandem runs as, and nobody else:\n",
            hosts.join(", ")
        ));
        for (file, place, key) in [
            ("ca.pem", "members-ca.pem", "member-ca-file"),
            (&format!("{name}.pem"), "member.pem", "member-certificate"),
            (&format!("{name}.key"), "member.key", "member-key"),
        ] {
            let wide = name.len() + ".pem".len();
            told.push_str(&format!("  {dir}/{file:wide$}  as  /etc/tandem/{place:14}  ({key})\n"));
        }
    }
    told.push_str(&format!(
        "\nKeep {dir}/ca.key away from these machines: whoever has it can make members. It signs the next one, when you run this \
         again with the same --out.\n"
    ));
    told
}

fn of(count: usize) -> String {
    if count == 1 { "1 certificate".to_owned() } else { format!("{count} certificates") }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn wanted(out: &Path, members: &[&str]) -> Certificates {
        let members = members.iter().map(|text| member(text).unwrap()).collect();
        Certificates { out: out.to_owned(), days: 30, members }
    }

    #[test]
    fn nothing_is_overwritten_and_what_was_begun_is_undone() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("members");
        make(&wanted(&out, &["primary=192.0.2.11"])).unwrap();
        let before = fs::read(out.join("primary.key")).unwrap();
        let why = make(&wanted(&out, &["backup=192.0.2.12", "primary=192.0.2.11"])).unwrap_err();
        assert!(why.contains("primary.pem: it is there already"), "{why}");
        assert_eq!(fs::read(out.join("primary.key")).unwrap(), before);
        assert!(!out.join("backup.pem").exists() && !out.join("backup.key").exists());
        make(&wanted(&out, &["backup=192.0.2.12"])).unwrap();
    }

    #[test]
    fn keys_are_for_their_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("members");
        make(&wanted(&out, &["a=b.example,192.0.2.11"])).unwrap();
        for (file, mode) in [("", 0o700), ("ca.key", 0o600), ("a.key", 0o600)] {
            assert_eq!(fs::metadata(out.join(file)).unwrap().permissions().mode() & 0o777, mode, "{file}");
        }
    }

    #[test]
    fn a_member_that_comes_later_is_signed_by_the_same_authority() {
        let folder = tempfile::tempdir().unwrap();
        make(&wanted(folder.path(), &["primary=192.0.2.11"])).unwrap();
        let told = make(&wanted(folder.path(), &["backup=[2001:db8::12]"])).unwrap();
        assert!(told.starts_with("Signed by the authority that was there: 1 certificate"), "{told}");
        let other = tempfile::tempdir().unwrap();
        make(&wanted(other.path(), &["primary=192.0.2.11"])).unwrap();
        fs::copy(other.path().join("ca.key"), folder.path().join("ca.key")).unwrap();
        let why = make(&wanted(folder.path(), &["witness=192.0.2.13"])).unwrap_err();
        assert!(why.contains("do not belong together"), "{why}");
    }

    #[test]
    fn a_member_has_a_name_and_hosts_without_ports() {
        let hosts = vec!["192.0.2.11".to_owned(), "a.example".to_owned()];
        assert_eq!(member("a-1=192.0.2.11,a.example"), Ok(Member { name: "a-1".to_owned(), hosts }));
        for (text, why) in [
            ("192.0.2.11", "is not NAME=HOST"),
            ("../x=192.0.2.11", "cannot name a file"),
            ("ca=192.0.2.11", "is the authority's"),
            ("a=192.0.2.11:5071", "without ports"),
            ("a=", "neither a host name nor an address"),
            ("a=b_!", "neither a host name nor an address"),
        ] {
            let refused = member(text).unwrap_err();
            assert!(refused.contains(why), "{text}: {refused}");
        }
    }
}

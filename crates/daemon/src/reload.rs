//! What a reload may change while the server runs, and what keeps its value until the next start.

use tandem_switch::Directory;

use crate::config::{Config, Settings};

/// A new configuration, fit for the running server.
#[derive(Debug)]
pub struct Merged {
    /// The new directory, with the old values of the kept keys.
    pub directory: Directory,
    /// Keys that changed but need a restart.
    pub kept: Vec<&'static str>,
}

/// Joins a new configuration with what the running server cannot change.
///
/// # Errors
/// Why nothing of it can be used.
pub fn merge(old: &Directory, settings: &Settings, new: Config) -> Result<Merged, String> {
    let Config { mut directory, settings: wanted } = new;
    if directory.server.switch != old.server.switch {
        // Which DNs exist hangs on it, and so do registrations and calls.
        return Err(format!(
            "`switch` of [application] changed from \"{}\" to \"{}\", which needs a restart",
            old.server.switch, directory.server.switch
        ));
    }
    let mut kept = Vec::new();
    let (server, before) = (&mut directory.server, &old.server);
    keep(&mut kept, "application.name", &mut server.name, &before.name);
    keep(&mut kept, "application.listen", &mut server.listen, &before.listen);
    keep(&mut kept, "application.nonce-secret", &mut server.nonce_secret, &before.nonce_secret);
    let (timers, before) = (&mut directory.options.timers, &old.options.timers);
    keep(&mut kept, "TServer.timer-t1", &mut timers.t1, &before.t1);
    keep(&mut kept, "TServer.timer-t2", &mut timers.t2, &before.t2);
    keep(&mut kept, "TServer.timer-t4", &mut timers.t4, &before.t4);
    for (key, changed) in [
        ("http.listen", wanted.http != settings.http),
        ("application.cti-listen", wanted.cti.listen != settings.cti.listen),
        ("application.cti-certificate", wanted.cti.tls != settings.cti.tls),
        ("application.cdr-file", wanted.cdr_file != settings.cdr_file),
        ("log.level", wanted.log_level != settings.log_level),
        ("media", wanted.media != settings.media),
        ("sip-tls", wanted.sip_tls != settings.sip_tls),
        ("dns", wanted.dns != settings.dns),
        ("connections", wanted.connections != settings.connections),
        ("stat", wanted.stat != settings.stat),
        ("ha", wanted.ha != settings.ha),
        ("peer-http", wanted.peer_http != settings.peer_http),
        ("readiness", wanted.goals != settings.goals),
        ("log.format", wanted.log_format != settings.log_format),
    ] {
        if changed {
            kept.push(key);
        }
    }
    Ok(Merged { directory, kept })
}

fn keep<T: Clone + PartialEq>(kept: &mut Vec<&'static str>, key: &'static str, value: &mut T, before: &T) {
    if value != before {
        value.clone_from(before);
        kept.push(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Origin, load};

    const TEXT: &str = r#"
[application]
name = "site-a"
switch = "site-a"
listen = ["udp:127.0.0.1:5060"]
realm = "tandem"
[TServer]
sip-address = "127.0.0.1"
ring-timeout = 60
timer-t1 = 500
[http]
listen = "127.0.0.1:8060"
[[extension]]
numbers = "1001-1010"
"#;

    fn config(edit: &[(&str, &str)]) -> Config {
        let mut text = TEXT.to_owned();
        for (from, to) in edit {
            assert!(text.contains(from), "{from}");
            text = text.replace(from, to);
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("site.toml");
        std::fs::write(&path, text).unwrap();
        load(&Origin::File(path), [1; 32]).unwrap()
    }

    fn reloaded(edit: &[(&str, &str)]) -> Result<Merged, String> {
        let old = config(&[]);
        merge(&old.directory, &old.settings, config(edit))
    }

    #[test]
    fn what_can_change_changes_and_nothing_is_kept_back() {
        let merged =
            reloaded(&[("1001-1010", "1001-1020"), ("ring-timeout = 60", "ring-timeout = 30")]).unwrap();
        assert_eq!(merged.directory.extensions().len(), 20);
        assert_eq!(merged.directory.options.ring_timeout.as_secs(), 30);
        assert!(merged.kept.is_empty(), "{:?}", merged.kept);
    }

    #[test]
    fn keys_that_need_a_restart_keep_their_value_and_are_named() {
        let merged = reloaded(&[
            ("udp:127.0.0.1:5060", "udp:127.0.0.1:5070"),
            ("timer-t1 = 500", "timer-t1 = 100"),
            ("127.0.0.1:8060", "127.0.0.1:8061"),
            ("ring-timeout = 60", "ring-timeout = 30"),
        ])
        .unwrap();
        assert_eq!(merged.kept, ["application.listen", "TServer.timer-t1", "http.listen"]);
        assert_eq!(merged.directory.server.listen[0].addr.port(), 5060);
        assert_eq!(merged.directory.options.timers.t1.as_millis(), 500);
        assert_eq!(merged.directory.options.ring_timeout.as_secs(), 30);
    }

    #[test]
    fn another_switch_is_another_server() {
        let why = reloaded(&[("switch = \"site-a\"", "switch = \"site-b\"")]).unwrap_err();
        assert!(why.contains("needs a restart"), "{why}");
    }
}

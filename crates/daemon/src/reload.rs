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
        ("application.cdr-file", wanted.cdr_file != settings.cdr_file),
        ("log.level", wanted.log_level != settings.log_level),
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

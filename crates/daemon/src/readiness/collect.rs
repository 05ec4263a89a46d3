//! This site's own facts. Extensions are looked at a few thousand at a time, so that calls are not held up; what is
//! configured is read beside the node's thread.

use std::sync::Arc;

use tandem_peer::readiness::{Extension, Facts, Goals, OptionsNow, Place};
use tandem_switch::{Directory, ExtensionNow};

use super::{NoReport, unix_ms};
use crate::command::{Commands, Unanswered};
use crate::limits::{EXTENSIONS_AT_A_TIME, MAX_COLLECTIONS};

/// Asks the node.
///
/// # Errors
/// See [`NoReport`].
pub async fn facts(commands: &Commands, goals: Goals) -> Result<Facts, NoReport> {
    for _ in 0..MAX_COLLECTIONS {
        let standing = commands.ask(|peek| peek.node.standing()).await?;
        let directory = Arc::clone(&standing.directory);
        let Some(now) = extensions(commands, &directory).await? else { continue };
        let read = tokio::task::spawn_blocking(move || configured(&directory, &now, goals));
        let mut facts = read.await.map_err(|_| Unanswered::Stopping)?;
        (facts.mode, facts.draining, facts.calls) = (standing.mode, standing.draining, standing.calls);
        facts.moves_away_percent = standing.moves_away_percent;
        (facts.agents, facts.trunks) = (standing.agents, standing.trunks);
        facts.unix_ms = unix_ms();
        return Ok(facts);
    }
    Err(NoReport::Changing)
}

/// How every Extension stands; `None` when another configuration came meanwhile.
async fn extensions(
    commands: &Commands,
    directory: &Arc<Directory>,
) -> Result<Option<Vec<ExtensionNow>>, Unanswered> {
    let all = directory.extensions().len();
    let mut found = Vec::with_capacity(all);
    while found.len() < all {
        let (directory, from) = (Arc::clone(directory), found.len());
        let some = move |peek: &crate::command::Peek<'_>| {
            peek.node.extensions_now(&directory, from, EXTENSIONS_AT_A_TIME)
        };
        match commands.ask(some).await? {
            Some(some) if !some.is_empty() => found.extend(some),
            Some(_) | None => return Ok(None),
        }
    }
    Ok(Some(found))
}

fn configured(directory: &Directory, now: &[ExtensionNow], goals: Goals) -> Facts {
    let (floor, options) = (directory.floor(), &directory.options);
    let extension = |(extension, now): (&tandem_switch::directory::Extension, &ExtensionNow)| Extension {
        dn: extension.number.to_string(),
        port: directory.is_port(&extension.number),
        fixed: extension.class.contact.is_some(),
        in_service: now.in_service,
        refresh_s: now.refresh_s,
        dr_forward: extension.class.dr_forward.filter(|own| *own != options.dr_forward),
    };
    let place = |place: &tandem_switch::directory::floor::Place| Place {
        name: place.name.to_string(),
        dns: place.dns.iter().map(|(switch, number)| (switch.to_string(), number.to_string())).collect(),
    };
    Facts {
        server: directory.server.name.to_string(),
        switch: directory.server.switch.to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        unix_ms: 0,
        mode: tandem_peer::Mode::StandAlone,
        draining: false,
        moves_away_percent: 0,
        options: OptionsNow {
            dr_forward: options.dr_forward,
            shutdown_sip_reject_code: options.shutdown_sip_reject_code,
            max_expires_s: options.max_expires_s,
        },
        goals: Goals { site_timeout_s: options.site_timeout.map(whole_s), ..goals },
        extensions: directory.extensions().iter().zip(now).map(extension).collect(),
        queues: floor.queues.iter().map(|queue| queue.number.to_string()).collect(),
        routing_points: floor.routing_points.iter().map(|point| point.number.to_string()).collect(),
        logins: floor.logins.iter().map(|login| login.id.to_string()).collect(),
        places: floor.places.iter().map(place).collect(),
        agents: Vec::new(),
        trunks: Vec::new(),
        calls: tandem_peer::readiness::Calls::default(),
    }
}

fn whole_s(time: std::time::Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}

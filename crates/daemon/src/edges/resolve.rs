//! Host names in trunk contacts: looked up at start, after a reload and every half minute. A name that does not
//! resolve is no reason to stop; the trunk keeps its last address.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use tandem_switch::{Directory, Input};
use tokio::sync::watch;

use super::tcp::TcpEdge;
use crate::command::Commands;
use crate::limits::{RESOLVE_EVERY, RESOLVE_WITHIN};

/// One name to look up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Wanted {
    trunk: Box<str>,
    host: Box<str>,
    port: u16,
    /// Families that the server can send to.
    v4: bool,
    v6: bool,
}

fn wanted(directory: &Directory) -> Vec<Wanted> {
    let listens = |v4: bool| directory.server.listen.iter().any(|listen| listen.addr.is_ipv4() == v4);
    let (v4, v6) = (listens(true), listens(false));
    let trunks = directory.trunks().iter();
    trunks
        .filter_map(|trunk| {
            let (host, port) = trunk.contact.resolve.clone()?;
            Some(Wanted { trunk: Box::from(&*trunk.name), host, port, v4, v6 })
        })
        .collect()
}

/// Looks names up until the server stops.
pub async fn run(
    commands: Commands,
    connections: Arc<TcpEdge>,
    mut directory: watch::Receiver<Arc<Directory>>,
) {
    let mut known: BTreeMap<Wanted, SocketAddr> = BTreeMap::new();
    loop {
        let names = wanted(&directory.borrow_and_update());
        known.retain(|name, _| names.contains(name));
        // A new directory knows no addresses: those still good come first, before anything is waited for.
        for (name, addr) in &known {
            if !tell(&commands, name, Some(*addr)).await {
                return;
            }
        }
        for name in names {
            let found = lookup(&name).await;
            report(&name, found, known.get(&name).copied());
            if let Some(addr) = found {
                connections.named(&name.host, addr);
                known.insert(name.clone(), addr);
            }
            if !tell(&commands, &name, known.get(&name).copied()).await {
                return;
            }
        }
        tokio::select! {
            changed = directory.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(RESOLVE_EVERY) => {}
        }
    }
}

async fn tell(commands: &Commands, name: &Wanted, addr: Option<SocketAddr>) -> bool {
    commands.input(Input::Resolved { trunk: name.trunk.clone(), addr }).await
}

fn report(name: &Wanted, found: Option<SocketAddr>, before: Option<SocketAddr>) {
    let Wanted { trunk, host, .. } = name;
    match (found, before) {
        (Some(addr), before) if before != Some(addr) => tracing::info!(%trunk, %host, %addr, "resolved"),
        (Some(_), _) => {}
        (None, Some(addr)) => tracing::warn!(%trunk, %host, %addr, "does not resolve; keeps its address"),
        (None, None) => tracing::warn!(%trunk, %host, "does not resolve"),
    }
}

async fn lookup(name: &Wanted) -> Option<SocketAddr> {
    let found = tokio::time::timeout(RESOLVE_WITHIN, tokio::net::lookup_host((&*name.host, name.port))).await;
    let mut addresses = found.ok()?.ok()?;
    addresses.find(|addr| if addr.is_ipv4() { name.v4 } else { name.v6 })
}

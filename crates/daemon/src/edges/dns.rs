//! The Domain Name System by hickory-resolver: the questions that RFC 3263 needs, and how long the answers hold.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures_util::future::join_all;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use tandem_sip::locate::{Answer, Candidate, Naptr, Query, Speaks, Srv, Step, Wanted, locate};
use tokio::time::timeout;

use crate::config::DnsSettings;
use crate::limits::{
    MAX_DNS_CACHE, MAX_LOCATE_STEPS, MAX_TTL, MIN_TTL, RESOLVE_AGAIN, RESOLVE_ATTEMPT, RESOLVE_WITHIN,
};

/// Where names lead, for a while.
pub struct Located {
    /// The places; empty when there is no such host.
    pub found: Vec<Candidate>,
    /// When to look again.
    pub holds_for: Duration,
}

/// What answers questions.
pub struct Dns {
    resolver: TokioResolver,
}

impl Dns {
    /// A client of the configured servers, or of those of the system.
    ///
    /// # Errors
    /// The system's configuration cannot be read.
    pub fn new(settings: &DnsSettings) -> Result<Self> {
        let mut builder = if settings.servers.is_empty() {
            TokioResolver::builder_tokio().context("cannot read the system's resolver configuration")?
        } else {
            let server = |addr: &std::net::SocketAddr| {
                let (mut udp, mut tcp) = (ConnectionConfig::udp(), ConnectionConfig::tcp());
                (udp.port, tcp.port) = (addr.port(), addr.port());
                NameServerConfig::new(addr.ip(), true, vec![udp, tcp])
            };
            let servers = settings.servers.iter().map(server).collect();
            let config = ResolverConfig::from_parts(None, Vec::new(), servers);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        let options = builder.options_mut();
        options.timeout = RESOLVE_ATTEMPT;
        options.attempts = 2;
        options.cache_size = MAX_DNS_CACHE;
        options.ip_strategy = LookupIpStrategy::Ipv6AndIpv4;
        options.positive_max_ttl = Some(MAX_TTL);
        // A name that appears is noticed as soon as one that changes.
        options.negative_max_ttl = Some(RESOLVE_AGAIN);
        Ok(Self { resolver: builder.build().context("cannot start the resolver")? })
    }

    /// Finds out where a name leads.
    ///
    /// # Errors
    /// The question that no server could answer.
    pub async fn find(&self, wanted: &Wanted, speaks: Speaks) -> Result<Located, String> {
        match timeout(RESOLVE_WITHIN, self.search(wanted, speaks)).await {
            Ok(found) => found,
            Err(_) => Err(format!("no answer within {} s", RESOLVE_WITHIN.as_secs())),
        }
    }

    async fn search(&self, wanted: &Wanted, speaks: Speaks) -> Result<Located, String> {
        let mut known = BTreeMap::new();
        let (now, mut holds_until) = (Instant::now(), None);
        for _ in 0..MAX_LOCATE_STEPS {
            match locate(wanted, speaks, &known) {
                Step::Ask(queries) => {
                    let answers = join_all(queries.iter().map(|query| self.ask(query))).await;
                    for (query, (answer, until)) in queries.into_iter().zip(answers) {
                        known.insert(query, answer);
                        holds_until = holds_until.into_iter().chain(until).min();
                    }
                }
                Step::Found(found) => {
                    let holds_for = holds_until.map_or(RESOLVE_AGAIN, |until| until - now);
                    return Ok(Located { found, holds_for: holds_for.clamp(MIN_TTL, MAX_TTL) });
                }
                Step::Failed(query) => return Err(format!("no server answers {}", spoken(&query))),
            }
        }
        Err("it leads from name to name without end".to_owned())
    }

    /// The answer, and until when it holds.
    async fn ask(&self, query: &Query) -> (Answer, Option<Instant>) {
        let answered =
            match query {
                Query::Naptr(name) => self.records(name, RecordType::NAPTR).await,
                Query::Srv(name) => self.records(name, RecordType::SRV).await,
                Query::Addresses(name) => self.resolver.lookup_ip(absolute(name)).await.map(|found| {
                    (Answer::Addresses(found.iter().collect()), found.as_lookup().valid_until())
                }),
            };
        match answered {
            Ok((answer, until)) => (answer, Some(until)),
            Err(error) if error.is_no_records_found() || error.is_nx_domain() => (Answer::Nothing, None),
            Err(error) => {
                tracing::debug!(query = %spoken(query), %error, "a question to the Domain Name System failed");
                (Answer::Failed, None)
            }
        }
    }

    async fn records(&self, name: &str, kind: RecordType) -> Result<(Answer, Instant), NetError> {
        let found = self.resolver.lookup(absolute(name), kind).await?;
        let until = found.valid_until();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned().into_boxed_str();
        let data = || found.answers().iter().map(|record| &record.data);
        let answer = if kind == RecordType::SRV {
            Answer::Srv(
                data()
                    .filter_map(|data| if let RData::SRV(srv) = data { Some(srv) } else { None })
                    .map(|srv| Srv {
                        priority: srv.priority,
                        weight: srv.weight,
                        port: srv.port,
                        target: srv.target.to_ascii().into(),
                    })
                    .collect(),
            )
        } else {
            Answer::Naptr(
                data()
                    .filter_map(|data| if let RData::NAPTR(naptr) = data { Some(naptr) } else { None })
                    .map(|naptr| Naptr {
                        order: naptr.order,
                        preference: naptr.preference,
                        flags: text(&naptr.flags),
                        service: text(&naptr.services),
                        replacement: naptr.replacement.to_ascii().into(),
                    })
                    .collect(),
            )
        };
        Ok((answer, until))
    }
}

/// A name with a dot in it is whole; one without is looked for in the system's search domains too.
fn absolute(name: &str) -> String {
    if name.contains('.') { format!("{name}.") } else { name.to_owned() }
}

fn spoken(query: &Query) -> String {
    match query {
        Query::Naptr(name) => format!("NAPTR {name}"),
        Query::Srv(name) => format!("SRV {name}"),
        Query::Addresses(name) => format!("AAAA and A {name}"),
    }
}

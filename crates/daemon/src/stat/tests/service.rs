//! The whole service over loopback: connections, subscriptions, history, takeover.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tandem_cti::{AgentState, CallType, DnRole, Event, EventName, KvList, PartyInfo, PartyState};
use tandem_stat::{Layout, PlaceLayout, QueueKind, QueueLayout, SiteLayout};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;

use super::server::Server;
use crate::config::{PasswordAt, StatSettings, StatSite};
use crate::stat::engine::{Engine, unix_ms};
use crate::stat::http;
use crate::stat::live::{Live, Role, Wanted};
use crate::stat::store::Store;

const PATIENCE: Duration = Duration::from_secs(20);

fn layout() -> Layout {
    let site = |name: &str| SiteLayout {
        name: name.into(),
        extensions: ["1001".into(), "1002".into()].into(),
        queues: [(
            "7000".into(),
            QueueLayout { kind: QueueKind::Queue, agents: ["anna".into()].into(), service_level_ms: 20_000 },
        )]
        .into(),
        agents: ["anna".into()].into(),
    };
    let dns = vec![("site-a".into(), "1001".into()), ("site-b".into(), "1001".into())];
    Layout {
        sites: vec![site("site-a"), site("site-b")],
        places: vec![PlaceLayout { name: "desk-1".into(), dns }],
        ..Layout::default()
    }
}

struct Service {
    live: Arc<Live>,
    task: JoinHandle<()>,
}

impl Drop for Service {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn settings(folder: &Path, servers: &[&Server; 2]) -> StatSettings {
    std::fs::write(folder.join("password"), "secret\n").unwrap();
    let site = |(switch, server): (&str, &&Server)| StatSite {
        switch: switch.into(),
        urls: vec![format!("ws://{}/cti", server.addr)],
        user: "statistics".into(),
        password: PasswordAt::File(folder.join("password")),
        ca_file: None,
    };
    StatSettings {
        listen: ([127, 0, 0, 1], 0).into(),
        database: Some(folder.join("stat.db")),
        json_file: Some(folder.join("history.jsonl")),
        history_days: 0,
        utc_offset_min: 0,
        sites: ["site-a", "site-b"].into_iter().zip(servers).map(site).collect(),
    }
}

fn start(settings: StatSettings) -> Service {
    let live = Arc::new(Live::default());
    let engine = Engine::new(settings, layout(), Arc::clone(&live));
    Service { live, task: tokio::task::spawn_local(engine.run()) }
}

impl Service {
    async fn until(&self, what: &str, test: impl Fn(&Live) -> bool) {
        let mut rounds = self.live.rounds();
        let waiting = async {
            while !test(&self.live) {
                rounds.changed().await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
    }

    async fn until_role(&self, role: Role) {
        self.until(&format!("{role:?}"), |live| live.with(|now| now.role) == Some(role)).await;
    }

    async fn until_shown(&self, object: &str, field: &str, value: Value) {
        let at = object.parse().unwrap();
        let shown = |live: &Live| {
            let json = live.with(|now| now.objects.get(&at).map(|shown| shown.json.get().to_owned()));
            let view: Option<Value> = json.flatten().map(|json| serde_json::from_str(&json).unwrap());
            view.and_then(|view| view.pointer(field).cloned())
        };
        self.until(&format!("{object} {field} {value}"), |live| shown(live).as_ref() == Some(&value)).await;
    }
}

fn event(name: EventName, dn: &str) -> Event {
    Event {
        time: unix_ms(),
        this_dn: Some(dn.into()),
        agent_id: Some("anna".into()),
        conn_id: Some(format!("{:016x}", 77)),
        this_queue: Some("7000".into()),
        third_party_dn: Some("1001".into()),
        ..Event::new(name)
    }
}

async fn local<T>(body: impl Future<Output = T>) -> T {
    tokio::task::LocalSet::new().run_until(body).await
}

fn lines(folder: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join("history.jsonl")).unwrap_or_default();
    let id = |line: &str| serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned();
    text.lines().map(id).collect()
}

#[tokio::test]
async fn bca_19_the_service_watches_both_sites_and_shows_one_status_for_a_place() {
    local(async {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (Server::start().await, Server::start().await);
        let service = start(settings(folder.path(), &[&a, &b]));
        service.until_shown("site:site-a", "/connected", true.into()).await;
        service.until_shown("site:site-b", "/connected", true.into()).await;
        a.tell(event(EventName::DnOutOfService, "1001"));
        b.tell(event(EventName::AgentLogin, "1001"));
        b.tell(event(EventName::AgentReady, "1001"));
        service.until_shown("place:desk-1", "/status", "WaitForNextCall".into()).await;
        service.until_shown("place:desk-1", "/site", "site-b".into()).await;
        assert_eq!(a.registered(), ["7000", "1001", "1002"]);
        assert_eq!(a.opened()[0]["UserName"], "statistics");
    })
    .await;
}

#[tokio::test]
async fn a_lost_connection_is_resumed_and_counts_nothing_twice_and_misses_nothing() {
    local(async {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (Server::start().await, Server::start().await);
        let service = start(settings(folder.path(), &[&a, &b]));
        service.until_shown("site:site-a", "/connected", true.into()).await;
        a.tell(event(EventName::Queued, "7000"));
        service.until_shown("queue:site-a:7000", "/waiting", 1.into()).await;
        a.cut();
        a.tell(event(EventName::Abandoned, "7000"));
        service.until_shown("queue:site-a:7000", "/total/abandoned", 1.into()).await;
        service.until_shown("queue:site-a:7000", "/total/offered", 1.into()).await;
        let opened = a.opened();
        assert_eq!(opened.last().unwrap()["Session"], "session-0");
        assert!(opened.last().unwrap()["After"].as_u64().unwrap() >= 4);
        assert_eq!(a.registered().len(), 3, "DNs of a session that goes on are not registered again");
    })
    .await;
}

#[tokio::test]
async fn a_new_session_registers_everything_again() {
    local(async {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (Server::start().await, Server::start().await);
        let service = start(settings(folder.path(), &[&a, &b]));
        service.until_shown("site:site-a", "/connected", true.into()).await;
        a.tell(event(EventName::Queued, "7000"));
        service.until_shown("queue:site-a:7000", "/total/offered", 1.into()).await;
        a.forget();
        a.cut();
        service.until("all three registered again", |_| a.registered().len() == 3).await;
        // The new session's description of the queue lacks the call, and no agent has it.
        let later = unix_ms() + 40_000;
        a.tell(Event {
            time: later,
            conn_id: Some(format!("{:016x}", 78)),
            ..event(EventName::Queued, "7000")
        });
        service.until_shown("queue:site-a:7000", "/total/unseen", 1.into()).await;
        service.until_shown("queue:site-a:7000", "/total/offered", 2.into()).await;
        service.until_shown("queue:site-a:7000", "/waiting", 1.into()).await;
    })
    .await;
}

#[tokio::test]
async fn another_process_takes_over_and_writes_every_row_once() {
    local(async {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (Server::start().await, Server::start().await);
        let primary = start(settings(folder.path(), &[&a, &b]));
        primary.until_role(Role::Primary).await;
        primary.until_shown("site:site-a", "/connected", true.into()).await;
        let backup = start(settings(folder.path(), &[&a, &b]));
        backup.until_role(Role::Backup).await;
        backup.until_shown("site:site-a", "/connected", true.into()).await;
        a.tell(event(EventName::AgentLogin, "1001"));
        a.tell(event(EventName::Queued, "7000"));
        a.tell(event(EventName::Diverted, "7000"));
        a.tell(event(EventName::Ringing, "1001"));
        a.tell(event(EventName::Established, "1001"));
        for service in [&primary, &backup] {
            service.until_shown("agent:anna", "/total/handled", 1.into()).await;
        }
        let talking = PartyInfo {
            conn_id: format!("{:016x}", 77),
            dn: "1001".into(),
            role: DnRole::Destination,
            state: PartyState::Connected,
            other_dn: None,
            call_type: CallType::Inbound,
            this_queue: Some("7000".into()),
            user_data: KvList::new(),
        };
        let busy = Event {
            agent_state: Some(AgentState::BusyNotReady),
            parties: vec![talking],
            ..event(EventName::Registered, "1001")
        };
        a.describe("1001", busy);
        primary.until("the first row", |_| lines(folder.path()).len() == 1).await;
        drop(primary);
        backup.until_role(Role::Primary).await;
        backup.until("the DNs are described again", |_| a.registered().len() == 9).await;
        a.tell(event(EventName::Released, "1001"));
        a.tell(event(EventName::AgentLogout, "1001"));
        backup.until("all rows", |_| lines(folder.path()).len() == 3).await;
        backup.until_shown("agent:anna", "/total/talks", 1.into()).await;
        backup.until_shown("queue:site-a:7000", "/total/offered", 1.into()).await;
        let mut ids = lines(folder.path());
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 3, "{ids:?}");
        drop(backup);
        tokio::task::yield_now().await;
        let mut store = Store::open(&folder.path().join("stat.db")).await.unwrap();
        assert_eq!(store.rows_after(0, 100).await.unwrap().len(), 3);
    })
    .await;
}

#[tokio::test]
async fn a_database_that_cannot_be_used_leaves_the_live_statistics() {
    local(async {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (Server::start().await, Server::start().await);
        std::fs::write(
            folder.path().join("stat.db"),
            "no database, but long enough to be looked at as one\n".repeat(99),
        )
        .unwrap();
        let service = start(settings(folder.path(), &[&a, &b]));
        service.until_role(Role::DatabaseFailed).await;
        service.until_shown("site:site-a", "/connected", true.into()).await;
        a.tell(event(EventName::Queued, "7000"));
        service.until_shown("queue:site-a:7000", "/waiting", 1.into()).await;
    })
    .await;
}

#[tokio::test]
async fn a_subscriber_hears_what_he_asked_for_when_it_changes() {
    local(async {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (Server::start().await, Server::start().await);
        let service = start(settings(folder.path(), &[&a, &b]));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::task::spawn_local(http::serve(listener, Arc::clone(&service.live)));
        service.until_shown("site:site-a", "/connected", true.into()).await;
        let (mut socket, _) = tokio_tungstenite::connect_async(format!("ws://{addr}/stat")).await.unwrap();
        socket.send(Message::text("{\"subscribe\": [\"queues\"]}")).await.unwrap();
        let refused = next(&mut socket).await;
        assert!(refused["error"].as_str().unwrap().contains("agent:ID"), "{refused}");
        socket.send(Message::text("{\"subscribe\": [\"queue:site-a:*\"]}")).await.unwrap();
        let first = next(&mut socket).await;
        assert_eq!(first["updates"].as_array().unwrap().len(), 1);
        assert_eq!(first["updates"][0]["object"], "queue:site-a:7000");
        b.tell(event(EventName::Queued, "7000"));
        service.until_shown("queue:site-b:7000", "/waiting", 1.into()).await;
        a.tell(event(EventName::Queued, "7000"));
        let update = next(&mut socket).await;
        assert_eq!(update["updates"].as_array().unwrap().len(), 1, "{update}");
        assert_eq!(update["updates"][0]["waiting"], 1);
    })
    .await;
}

async fn next<S>(socket: &mut S) -> Value
where
    S: futures_util::Stream<Item = Result<Message, tokio_tungstenite::tungstenite::Error>> + Unpin,
{
    let message = tokio::time::timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap();
    serde_json::from_str(message.to_text().unwrap()).unwrap()
}

#[test]
fn a_subscription_is_bounded_and_explains_itself() {
    assert!(Wanted::read("{\"subscribe\": []}").is_ok());
    assert!(Wanted::read("{\"subscribe\": [\"*\", \"agent:anna\"]}").is_ok());
    for wrong in ["", "[]", "{}", "{\"subscribe\": [1]}", "{\"subscribe\": [], \"more\": 1}"] {
        assert!(Wanted::read(wrong).unwrap_err().contains("subscribe"), "{wrong}");
    }
    let many = format!("{{\"subscribe\": [{}]}}", vec!["\"agent:1\""; 10_001].join(","));
    assert!(Wanted::read(&many).unwrap_err().contains("at most"));
}

//! A CTI server as small as the service needs it: it keeps one numbered stream, tells it to whoever opens a session, and
//! can be cut off and forget.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tandem_cti::{ErrorCode, Event, EventName, Refusal, Request, Resumed};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message;

#[derive(Default)]
struct Book {
    session: u32,
    /// The stream; the event at `i` has the number `i + 1`.
    events: Vec<Event>,
    opened: Vec<Value>,
    registered: Vec<String>,
    described: BTreeMap<String, Event>,
    connections: u32,
}

/// The server.
#[derive(Clone)]
pub struct Server {
    pub addr: SocketAddr,
    book: Arc<Mutex<Book>>,
    /// Moves when there is something to tell; the second number cuts connections that began before it.
    bell: Arc<watch::Sender<(usize, u32)>>,
}

impl Server {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            addr: listener.local_addr().unwrap(),
            book: Arc::default(),
            bell: Arc::new(watch::Sender::new((0, 0))),
        };
        let accepting = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(accepting.clone().serve(stream));
            }
        });
        server
    }

    /// Something happens: every session hears it.
    pub fn tell(&self, mut event: Event) {
        let mut book = self.book.lock().unwrap();
        event.sequence = Some(book.events.len() as u64 + 1);
        book.events.push(event);
        let count = book.events.len();
        self.bell.send_modify(|(known, _)| *known = count);
    }

    /// How a DN is described to who registers it from now on.
    pub fn describe(&self, dn: &str, event: Event) {
        self.book.lock().unwrap().described.insert(dn.to_owned(), event);
    }

    /// Cuts every connection.
    pub fn cut(&self) {
        self.bell.send_modify(|(_, cuts)| *cuts += 1);
    }

    /// Forgets the session and its stream.
    pub fn forget(&self) {
        let mut book = self.book.lock().unwrap();
        book.session += 1;
        book.events.clear();
        book.registered.clear();
    }

    /// What clients said when they opened, oldest first.
    pub fn opened(&self) -> Vec<Value> {
        self.book.lock().unwrap().opened.clone()
    }

    /// DNs that were registered, in order.
    pub fn registered(&self) -> Vec<String> {
        self.book.lock().unwrap().registered.clone()
    }

    async fn serve(self, stream: TcpStream) {
        let Ok(socket) = accept_async(stream).await else { return };
        let (mut sink, mut source) = socket.split();
        let mut bell = self.bell.subscribe();
        let cuts = bell.borrow().1;
        let mut sent = None::<usize>;
        loop {
            tokio::select! {
                message = source.next() => {
                    let Some(Ok(message)) = message else { return };
                    let Message::Text(text) = message else { continue };
                    let answers = self.answer(text.as_str(), &mut sent);
                    for answer in answers {
                        let text = serde_json::to_string(&answer).unwrap();
                        if sink.send(Message::text(text)).await.is_err() {
                            return;
                        }
                    }
                }
                _ = bell.changed() => {}
            }
            if bell.borrow().1 != cuts {
                return;
            }
            let Some(from) = sent else { continue };
            let events: Vec<Event> = self.book.lock().unwrap().events.iter().skip(from).cloned().collect();
            sent = Some(from + events.len());
            for event in events {
                let text = serde_json::to_string(&event).unwrap();
                if sink.send(Message::text(text)).await.is_err() {
                    return;
                }
            }
        }
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "any other request is a fault of the client")]
    fn answer(&self, text: &str, sent: &mut Option<usize>) -> Vec<Event> {
        let mut book = self.book.lock().unwrap();
        match serde_json::from_str(text).unwrap() {
            Request::TOpenServer(open) => {
                book.opened.push(serde_json::from_str(text).unwrap());
                book.connections += 1;
                if open.password != "secret" {
                    return vec![Event::error(&Refusal::new(ErrorCode::InvPasswd), open.reference_id)];
                }
                let name = format!("session-{}", book.session);
                let after = open.after.unwrap_or(0);
                let same = open.session.as_deref() == Some(&name) && after <= book.events.len() as u64;
                let resumed = if same { Resumed::Continued } else { Resumed::New };
                let from = if same { after as usize } else { book.events.len() };
                *sent = Some(from);
                vec![Event {
                    session: Some(name),
                    resumed: Some(resumed),
                    sequence: Some(from as u64),
                    ..Event::new(EventName::LinkConnected)
                }]
            }
            Request::TRegisterAddress(register) => {
                book.registered.push(register.this_dn.clone());
                let sequence = Some(book.events.len() as u64 + 1);
                let described = book.described.get(&register.this_dn).cloned();
                let described = described.unwrap_or_else(|| Event::new(EventName::Registered));
                book.events.push(Event {
                    sequence,
                    reference_id: register.reference_id,
                    this_dn: Some(register.this_dn),
                    in_service: Some(true),
                    ..described
                });
                Vec::new()
            }
            other => panic!("not expected of a client of statistics: {}", other.name()),
        }
    }
}

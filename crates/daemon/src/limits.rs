//! Bounds of the program around the `Node`: what happens when one is reached stands beside each number.

use std::time::Duration;

/// Extension DNs in one configuration; more is a configuration error.
pub const MAX_EXTENSIONS: usize = 1_000_000;
/// Files one configuration may include; more is a configuration error.
pub const MAX_INCLUDES: usize = 16;
/// Addresses to listen on; more is a configuration error.
pub const MAX_LISTEN: usize = 64;
/// Longest `ring-timeout`, s; more is a configuration error.
pub const RING_TIMEOUT_MAX_S: u64 = 3_600;
/// Largest `register-rate`; more is a configuration error.
pub const MAX_REGISTER_RATE: u64 = 100_000;
/// Longest header value that an option may hold, bytes; more is a configuration error.
pub const MAX_HEADER_VALUE: usize = 512;
/// Objects of each kind of the floor (Agent Logins, persons, places, groups, queues, Routing Points); more is a
/// configuration error.
pub const MAX_FLOOR_OBJECTS: usize = 100_000;
/// Most that one password hash may cost in memory, KiB; more is a configuration error, for every login would cost it.
pub const MAX_HASH_MEMORY_KIB: u32 = 1024 * 1024;
/// Most passes of one password hash; more is a configuration error.
pub const MAX_HASH_ITERATIONS: u32 = 100;
/// Largest `max-length` of a queue; more is a configuration error.
pub const MAX_QUEUE_LENGTH: u64 = 100_000;
/// Longest `max-wait` and `service-level` of a queue, s; more is a configuration error.
pub const MAX_QUEUE_WAIT_S: u64 = 86_400;
/// Highest `priority` of a queue; more is a configuration error.
pub const MAX_QUEUE_PRIORITY: u64 = 1_000_000;
/// Longest `router-timeout`, s; more is a configuration error.
pub const ROUTER_TIMEOUT_MAX_S: u64 = 3_600;
/// Longest `logout-on-disconnect-grace`, s; more is a configuration error.
pub const MAX_GRACE_S: u64 = 3_600;
/// Longest `lockout-time` and `lockout-window`, s; more is a configuration error.
pub const MAX_LOCKOUT_S: u64 = 604_800;
/// Networks in one list; more is a configuration error.
pub const MAX_NETWORKS: usize = 256;

/// Kernel buffer asked for on each UDP socket, bytes; the kernel may grant less.
pub const UDP_BUFFER: usize = 4 * 1024 * 1024;
/// How often the node is told how much waits for it.
pub const LOAD_EVERY: Duration = Duration::from_millis(100);
/// Datagrams handled before timers, connections and commands get their turn.
pub const UDP_BUDGET: usize = 64;
/// Least time between two turns for timers alone. The shortest SIP timer is 200 ms; a wake-up of its own for each of the
/// thousands of transactions that end in a second would cost more than the calls.
pub const TIMER_SLACK: Duration = Duration::from_millis(10);
/// Largest datagram that UDP can carry, bytes.
pub const MAX_DATAGRAM: usize = 65_535;
/// Datagrams that wait because a socket would block; the oldest is dropped and counted.
pub const MAX_UDP_BACKLOG: usize = 4_096;
/// Errors read from a socket's error queue in one go; the rest waits for the next go.
pub const UDP_ERROR_BUDGET: usize = 32;
/// Sources remembered so that unreadable datagrams of one are logged once a second; beyond it they are only counted.
pub const MAX_NOISY_SOURCES: usize = 256;

/// Messages and questions that wait for the `Node`; a connection that finds it full waits, a question is answered 503.
pub const MAX_COMMANDS: usize = 8_192;
/// Commands handled before the sockets get their turn.
pub const COMMAND_BUDGET: usize = 64;
/// Longest wait for the `Node`'s answer to a question; then 503.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// STUN binding requests answered in a second over UDP, room for 100,000 phones that ask every 30 s; further ones are dropped.
pub const MAX_STUN_PER_S: u32 = 4_000;
/// Connections at once unless `[connections]` says otherwise; a further one takes the place of the oldest that has not brought
/// a whole message, or is closed on arrival.
pub const MAX_CONNECTIONS: usize = 10_000;
/// Largest `max` and `max-per-source` of `[connections]`; more is a configuration error.
pub const MOST_CONNECTIONS: usize = 1_000_000;
/// Connections of one source unless `[connections]` says otherwise, room for an office behind one NAT; a further one is closed
/// on arrival.
pub const MAX_PER_SOURCE: usize = 1_000;
/// Connections of one source that have not brought a whole message yet; a further one is closed on arrival.
pub const MAX_UNPROVEN_PER_SOURCE: usize = 256;
/// Messages that wait for one connection's writer; the connection is closed when it is full.
pub const WRITER_QUEUE: usize = 256;
/// Time for a connection attempt; then the flow has failed.
pub const CONNECT_WITHIN: Duration = Duration::from_secs(4);
/// Connections that this server may open beyond that, so that phones cannot keep it from its trunks.
pub const MAX_OWN_CONNECTIONS: usize = 1_000;
/// Connections of one listener in a handshake of TLS or WebSocket at once; further ones wait in the kernel.
pub const MAX_HANDSHAKES: usize = 1_024;
/// Time for such a handshake; then the connection is closed.
pub const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// Largest SIP message over WebSocket, bytes; a larger one closes the connection.
pub const MAX_WS_MESSAGE: usize = 64 * 1024;
/// How often a WebSocket is asked whether its browser is still there.
pub const WS_PING_EVERY: Duration = Duration::from_secs(30);
/// Time for a new connection to send its first whole message; then it is closed.
pub const FIRST_MESSAGE_WITHIN: Duration = Duration::from_secs(30);
/// Time for a message to be whole after its first byte; a slower sender is cut off.
pub const MESSAGE_WITHIN: Duration = Duration::from_secs(20);
/// Silence of a browser, its answers to pings included, after which its connection is closed.
pub const WS_SILENCE: Duration = Duration::from_secs(95);
/// Silence after which a connection is closed; longer than the longest usual registration.
pub const IDLE: Duration = Duration::from_secs(3_900);
/// Time for one message to be written; a peer that takes longer is closed.
pub const WRITE_WITHIN: Duration = Duration::from_secs(10);
/// Bytes read from a connection at a time.
pub const READ_CHUNK: usize = 16 * 1024;

/// Connections of the CTI interface at once, room for ten thousand desktops and those who watch them; a further one is
/// closed on arrival. Each takes a file descriptor and, idle and without TLS, 14 KiB with its session, beside the
/// kernel's buffers.
pub const MAX_CTI_LINKS: usize = 12_000;
/// Connections of it that have not proven yet who they are; further ones wait in the kernel.
pub const MAX_CTI_UNPROVEN: usize = 1_024;
/// Kernel buffer asked for towards a CTI client, bytes: what a client that does not read can hold there.
pub const CTI_SEND_BUFFER: usize = 64 * 1024;
/// Buffer for reading from a CTI client, bytes.
pub const CTI_READ_BUFFER: usize = 4 * 1024;
/// Bytes of events written to a CTI client before it must have taken them.
pub const CTI_WRITE_CHUNK: usize = 32 * 1024;
/// Events that wait for one CTI client; beyond it the client is dropped, and may resume. More than the descriptions of all
/// DNs that one session can register.
pub const CTI_WRITER_QUEUE: usize = 32_768;
/// Time for TLS and the WebSocket handshake.
pub const CTI_HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// Within this time a server that ends parts from its CTI clients; who has not heard it by then is cut off.
pub const CTI_PART_WITHIN: Duration = Duration::from_secs(1);
/// Time for a new CTI connection to send TOpenServer; then it is closed.
pub const CTI_OPEN_WITHIN: Duration = Duration::from_secs(10);
/// Longest wait of a TOpenServer for its password to be checked; then it is refused and may come again.
pub const CTI_PROOF_WITHIN: Duration = Duration::from_secs(60);
/// Requests kept that come before TOpenServer is answered; further ones wait in the socket.
pub const MAX_CTI_EARLY: usize = 16;
/// How often a CTI client is pinged.
pub const CTI_PING_EVERY: Duration = Duration::from_secs(20);
/// Silence, pongs included, after which a CTI connection is closed.
pub const CTI_IDLE: Duration = Duration::from_secs(60);
/// Requests read from one CTI connection in a second; further ones wait in its socket.
pub const CTI_REQUESTS_PER_S: u32 = 2_000;
/// Failures of one user at one source after which both together are locked out.
pub const CTI_USER_FAILURES: u32 = 5;
/// Failures at one source, of whatever users, after which it is locked out.
pub const CTI_SOURCE_FAILURES: u32 = 100;
/// How long that lasts, and after how long without failures the count begins anew.
pub const CTI_LOCKED_OUT: Duration = Duration::from_secs(30);
/// Pause before a wrong password is answered.
pub const CTI_FAILURE_PAUSE: Duration = Duration::from_millis(500);
/// Sources and users whose failures are remembered; beyond it the old ones are forgotten.
pub const MAX_CTI_FAILURES: usize = 65_536;

/// Call records that wait for the disk; a further one is dropped, counted and logged.
pub const MAX_CDR_QUEUE: usize = 16_384;
/// How often the writer of call records looks at its queue.
pub const CDR_LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long a call record may stay in memory before it goes to the file.
pub const CDR_FLUSH_EVERY: Duration = Duration::from_secs(1);
/// Log lines about dropped or unwritable records: one in this time.
pub const CDR_COMPLAINT_EVERY: Duration = Duration::from_secs(10);

/// Requests to the administration interface at once; a further one is answered 503.
pub const MAX_HTTP_REQUESTS: usize = 32;
/// Time for one request; then it is answered 408.
pub const HTTP_REQUEST_WITHIN: Duration = Duration::from_secs(10);
/// Largest body of a request, bytes; a larger one is answered 413.
pub const MAX_HTTP_BODY: usize = 64 * 1024;
/// What the user part of a caller begins with whose call belongs to a drill: calls of his that are lost are not counted as
/// customers lost.
pub const DRILL_CALLER: &str = "drill-";
/// Longest isolation that a drill may ask for; more is refused.
pub const MAX_DRILL_FOR: Duration = Duration::from_secs(3_600);
/// An isolation that is not renewed for so long ends by itself: whoever began it is gone.
pub const DRILL_RENEW_WITHIN: Duration = Duration::from_secs(5);
/// Longest delay of a slow link; more is refused.
pub const MAX_DRILL_DELAY: Duration = Duration::from_secs(10);
/// Addresses of parties in one order; more is refused.
pub const MAX_DRILL_PARTIES: usize = 256;
/// Addresses that are cut off because an Extension of the share registers from there; a further one is not remembered, and
/// only its REGISTERs are dropped.
pub const MAX_DRILL_ADDRESSES: usize = 100_000;
/// Messages that wait for a slow link; a further one is dropped and counted.
pub const MAX_DRILL_DELAYED: usize = 4_096;
/// Extensions that `tandem readiness` looks at in one turn of the node's thread, less than a millisecond's work; the
/// others follow in the next turns.
pub const EXTENSIONS_AT_A_TIME: usize = 1_024;
/// How often it begins anew because the configuration changed meanwhile; then it gives up and says so.
pub const MAX_COLLECTIONS: usize = 3;
/// Sites that may be told this site's facts at once; a further one is answered 503.
pub const MAX_FACTS_AT_ONCE: usize = 2;
/// Time for the peer's administration interface to answer; then it is not known.
pub const PEER_ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// How often it is asked whether it is there while the peer trunk is lost, if `dr-failure-signals` names `control`.
pub const CONTROL_ASKED_EVERY: Duration = Duration::from_secs(1);
/// Largest answer read from it, bytes, room for a million Extensions; a larger one is not read.
pub const MAX_PEER_ANSWER: usize = 64 * 1024 * 1024;
/// After how long a name that could not be located is looked up again.
pub const RESOLVE_AGAIN: Duration = Duration::from_secs(10);
/// Longest wait for all the answers that one name needs; then it cannot be located for now.
pub const RESOLVE_WITHIN: Duration = Duration::from_secs(10);
/// Wait for one answer of one name server; then the question is repeated, or another server is asked.
pub const RESOLVE_ATTEMPT: Duration = Duration::from_millis(1_500);
/// Rounds of questions that one name may need.
pub const MAX_LOCATE_STEPS: usize = 8;
/// Names that are being looked up at once; others wait.
pub const MAX_LOOKUPS: usize = 16;
/// What a record's time to live is brought into.
pub const MIN_TTL: Duration = Duration::from_secs(5);
/// See [`MIN_TTL`].
pub const MAX_TTL: Duration = Duration::from_secs(3_600);
/// Answers of the Domain Name System that are kept for their time; beyond it old ones make room.
pub const MAX_DNS_CACHE: u64 = 4_096;
/// Name servers in one configuration; more is a configuration error.
pub const MAX_DNS_SERVERS: usize = 8;
/// Largest answer the command line reads from a server, bytes.
pub const MAX_ANSWER: usize = 256 * 1024 * 1024;

/// Servers that the statistics service is a client of; more is a configuration error.
pub const MAX_STAT_SITES: usize = 16;
/// Longest `history-days`; more is a configuration error.
pub const MAX_HISTORY_DAYS: u64 = 3_660;
/// Time for a CTI server to answer a connection and its opening; then the next attempt.
pub const CTI_ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// First and longest pause between attempts; it doubles in between.
pub const CTI_BACKOFF: Duration = Duration::from_millis(250);
/// See [`CTI_BACKOFF`].
pub const CTI_BACKOFF_MOST: Duration = Duration::from_secs(10);
/// How often a CTI server is asked whether it is there.
pub const STAT_PING_EVERY: Duration = Duration::from_secs(5);
/// Such questions in a row without a word from it; then the connection is given up.
pub const STAT_UNHEARD_PINGS: u32 = 3;
/// Largest event of a CTI server, bytes; a larger one ends the connection.
pub const MAX_CTI_EVENT: usize = 16 * 1024 * 1024;
/// DNs asked for whose answers are not there yet; the others wait.
pub const MAX_UNANSWERED_REGISTRATIONS: usize = 64;
/// Events that wait for the model of statistics; a connection that finds it full waits.
pub const MAX_CTI_EVENTS: usize = 4_096;
/// How often history is written.
pub const HISTORY_COMMIT_EVERY: Duration = Duration::from_millis(250);
/// Rows written at once; with so many, a write does not wait for its time.
pub const MAX_BATCH: usize = 1_000;
/// How long a failed database, or a file of JSON lines that cannot be written, is left alone.
pub const DATABASE_AGAIN: Duration = Duration::from_secs(10);
/// Rows read from the database at once for the JSON lines; the rest follows with the next write.
pub const MAX_LINES_AT_ONCE: i64 = 1_000;
/// Longest JSON line looked for at the end of a file, bytes.
pub const MAX_JSON_LINE: u64 = 64 * 1024;
/// How often old history is removed, and how many rows at once.
pub const FORGET_EVERY: Duration = Duration::from_secs(3_600);
/// See [`FORGET_EVERY`].
pub const FORGET_AT_ONCE: i64 = 1_000;
/// How often changed statistics are shown.
pub const PUBLISH_EVERY: Duration = Duration::from_secs(1);
/// Silence of the model after which `/health` answers 503.
pub const HEALTHY_WITHIN: Duration = Duration::from_secs(5);
/// Subscribers of statistics at once; a further one is answered 503.
pub const MAX_SUBSCRIBERS: usize = 256;
/// Names in one subscription; more is refused.
pub const MAX_SUBSCRIBED: usize = 10_000;
/// Largest subscription, bytes; a larger one ends the connection.
pub const MAX_SUBSCRIPTION: usize = 1024 * 1024;
/// Media servers in one configuration; more is a configuration error.
pub const MAX_MEDIA_ENGINES: usize = 8;
/// Callers with a player at once; a further one has ringback.
pub const MAX_MEDIA_PLAYERS: usize = 10_000;
/// Requests to one media server that wait for their answer; a further one waits for its turn.
pub const MAX_NG_IN_FLIGHT: usize = 256;
/// How long each sending of a request to a media server waits for the answer before the next; after the last the server
/// is silent. Two silent servers in a row are still found out within the caller's patience.
pub const NG_REPEAT_AFTER: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_millis(200), Duration::from_millis(400)];
/// How often a media server is pinged; one that is silent gets no new players, and those it has are lost.
pub const NG_PING_EVERY: Duration = Duration::from_secs(1);
/// How often a media server is asked whether it still knows a player.
pub const MEDIA_CHECK_EVERY: Duration = Duration::from_secs(15);
/// Anchored legs with a session at once; a further one is refused, or goes without a media server where it can.
pub const MAX_MEDIA_SESSIONS: usize = 20_000;
/// Orders for one anchored leg that wait for its task; a call has one out at a time.
pub const MAX_ANCHOR_ORDERS: usize = 4;
/// How often a media server is asked whether it still knows an anchored leg: so long an engine that was started anew
/// between two pings goes unnoticed.
pub const ANCHOR_CHECK_EVERY: Duration = Duration::from_secs(5);
/// How often an anchored leg that lost its media server looks for another.
pub const ANCHOR_LOOK_EVERY: Duration = Duration::from_millis(100);
/// Time between two legs that are offered another media server: 500 calls are offered theirs within 3 s, and phones and
/// trunks are not flooded.
pub const BETWEEN_LOST: Duration = Duration::from_millis(5);
/// How often a media server is asked for sessions that nobody will end.
pub const SWEEP_MEDIA_EVERY: Duration = Duration::from_secs(60);
/// Sessions looked at in one sweep; their names fit into one datagram. Further ones follow when these are gone.
pub const MAX_SWEPT: usize = 800;

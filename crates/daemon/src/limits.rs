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

/// Kernel buffer for receiving asked for on each UDP socket, bytes: the first messages of some 15,000 phones that come back
/// at once. The kernel may grant less.
pub const UDP_RECEIVE_BUFFER: usize = 16 * 1024 * 1024;
/// When it grants less than this, it is said at the start.
pub const UDP_RECEIVE_BUFFER_LEAST: usize = 4 * 1024 * 1024;
/// Kernel buffer for sending asked for on each UDP socket, bytes.
pub const UDP_SEND_BUFFER: usize = 4 * 1024 * 1024;
/// How often the node is told how much waits for it.
pub const LOAD_EVERY: Duration = Duration::from_millis(100);
/// Datagrams handled before timers, connections and commands get their turn, and then as many of those that waited.
pub const UDP_BUDGET: usize = 64;
/// Of those that waited, so many are handled when the socket has more than was read: reading it comes first.
pub const UDP_BUDGET_BEHIND: usize = 8;
/// Datagrams read in such a turn. More than are handled, so that calls do not wait behind what may wait.
pub const UDP_READ_BUDGET: usize = 512;
/// REGISTERs, SUBSCRIBEs and PUBLISHs that are read and wait, bytes with [`READ_AHEAD_EACH`]: some 20,000. Each source may
/// hold as much as is still free; what finds no room is dropped and counted, and its sender repeats it.
pub const READ_AHEAD_BYTES: usize = 16 * 1024 * 1024;
/// What one that waits costs beside its own bytes.
pub const READ_AHEAD_EACH: usize = 128;
/// Empty queues of sources that are kept to be used again; a further one is freed.
pub const MAX_SPARE_QUEUES: usize = 64;
/// Log lines about datagrams that the kernel dropped: one in this time.
pub const UDP_LOST_COMPLAINT_EVERY: Duration = Duration::from_secs(10);
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
/// Connections of one source unless `[connections]` says otherwise, room for an office behind one NAT; a further one takes the
/// place of a silent one of the same source, or is closed on arrival.
pub const MAX_PER_SOURCE: usize = 1_000;
/// Connections of one source that have not brought a readable message yet; a further one takes the place of one that had
/// [`SPEAKS_WITHIN`] for it, or is closed on arrival.
pub const MAX_UNPROVEN_PER_SOURCE: usize = 256;
/// Time for a connection to bring its first message before it makes room for another of its source. A phone that connects is
/// faster, so those of an office that come back together do not drive each other out.
pub const SPEAKS_WITHIN: Duration = Duration::from_secs(5);
/// Silence, keep-alives included, after which a connection that nobody is reached over makes room for another of its source:
/// longer than any request waits for its answer (Timer B and F).
pub const SILENT_AFTER: Duration = Duration::from_secs(40);
/// How often such connections of one source are looked for; in between a further one is closed on arrival.
pub const SILENT_LOOKED_FOR_EVERY: Duration = Duration::from_secs(1);
/// Connections of one source that the node is asked about at once; the others are looked at the next time.
pub const MAX_SILENT_ASKED: usize = 256;
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
/// Time for the connections of a server that gives its address away to end; it goes on without those that are left.
pub const PARTED_WITHIN: Duration = Duration::from_secs(1);
/// Time for what was said last on them to arrive, before the kernel forgets them.
pub const LAST_WORDS_WITHIN: Duration = Duration::from_millis(50);
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

/// Call records that wait for their writer, and again for the disk; a further one is dropped, counted and logged. What is
/// stored of its call stays (`MAX_UNWRITTEN` of the switch), so the next start writes it.
pub const MAX_CDR_QUEUE: usize = 16_384;
/// How often the writer of call records looks at its queue, and how long one may stay in memory.
pub const CDR_LOOK_EVERY: Duration = Duration::from_millis(100);
/// Bytes at the end of the file of call records in which a start looks for records that come again after a crash.
pub const CDR_LATEST_BYTES: u64 = 1 << 20;
/// Calls whose records were written last that are remembered, so that none is written twice.
pub const MAX_CDR_KNOWN: usize = 65_536;
/// How often the node is told which call records are kept: one sync of their file and one change of the stored records.
pub const CDR_CONFIRM_EVERY: Duration = Duration::from_secs(1);
/// Calls in one such message; the others follow in the next.
pub const MAX_CDR_CONFIRMED: usize = 1_000;
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
/// is silent. Two silent servers in a row are still found out within the caller's patience, and a busy host that stands
/// still for a second is no lost server.
pub const NG_REPEAT_AFTER: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(700),
];
/// Sendings after which a media server is silent whose host says that nobody listens.
pub const NG_REFUSED_AFTER: usize = 3;
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
/// Sessions of an earlier process that one media server after the other is asked after at once: calls that begin meanwhile
/// do not wait behind all of them.
pub const MAX_MEDIA_PROVED: usize = 8;
/// How long a call that goes on waits for its media server to answer; then it has lost it. A description waits for longer
/// (`ANCHOR_PATIENCE` of `tandem-switch`).
pub const MEDIA_TAKE_UP_PATIENCE: Duration = Duration::from_secs(2);
/// How long a start waits for a first media server to answer.
pub const MEDIA_FIRST_WORD: Duration = Duration::from_millis(300);
/// How often a media server is asked for sessions that nobody will end.
pub const SWEEP_MEDIA_EVERY: Duration = Duration::from_secs(60);
/// Sessions looked at in one sweep; their names fit into one datagram. Further ones follow when these are gone.
pub const MAX_SWEPT: usize = 800;

/// Virtual addresses of one server; more is a configuration error.
pub const MAX_VIRTUAL_ADDRESSES: usize = 8;
/// Seconds that the kernel keeps a virtual address which nobody renews. The kernel counts whole seconds and looks up to a
/// quarter of one later, so the address of a process that is killed or stopped is gone within 2.25 s of its last renewal. One
/// second would be lost to a busy kernel's lock: who adds a network interface elsewhere may hold it that long.
pub const ADDRESS_LIFETIME_S: u32 = 2;
/// How often it is renewed while the lease lasts: three renewals may fail before it goes.
pub const ADDRESS_RENEWED_EVERY: Duration = Duration::from_millis(500);
/// After a renewal is so late, the kernel may have taken the address in between.
pub const ADDRESS_GONE_AFTER: Duration = Duration::from_millis(1_500);
/// An address that would last longer than this, s, is nobody's leftover: somebody else put it there.
pub const LEFTOVER_LIFETIME_S: u32 = 10;
/// When neighbours are told where the addresses are, counted from the takeover. Any of the first may be lost; at 2.5 s the
/// former holder's kernel has let go whatever happened to its process, and nobody contradicts any more.
pub const ADDRESS_ANNOUNCED_AFTER: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(100),
    Duration::from_secs(1),
    Duration::from_millis(2_500),
    Duration::from_secs(5),
];
/// After how long another machine that still answers for an address is no leftover of a takeover.
pub const ADDRESS_CONTESTED_AFTER: Duration = Duration::from_millis(2_500);
/// How long ago another machine's claim to an address still counts.
pub const ADDRESS_CLAIM_COUNTS_FOR: Duration = Duration::from_secs(60);
/// When the removal of an address that the kernel refused is tried again, and how often in all; then it runs out there.
pub const ADDRESS_REMOVE_AGAIN: Duration = Duration::from_millis(100);
/// See [`ADDRESS_REMOVE_AGAIN`].
pub const MAX_ADDRESS_REMOVALS: u32 = 3;
/// Frames of ARP looked at in one go; the others wait in the socket.
pub const ADDRESS_CLAIM_BUDGET: usize = 256;
/// Addresses of this machine looked at; others are not seen.
pub const MAX_OWN_ADDRESSES: usize = 10_000;
/// How often the virtual addresses and systemd's watchdog are told that the node's loop comes round.
pub const PULSE_EVERY: Duration = Duration::from_millis(100);
/// How long one server alone keeps its virtual addresses when its loop does not come round.
pub const LOOP_LEASE: Duration = Duration::from_secs(2);
/// Longest wait of a server that begins to serve for its virtual addresses: before they are there, nothing can be sent from them. It takes the kernel
/// a millisecond.
pub const ADDRESS_TAKEN_WITHIN: Duration = Duration::from_millis(200);
/// Longest time from a server's last word to callers until its process begins anew: meanwhile it tells the one that takes over.
pub const HANDED_OVER_WITHIN: Duration = Duration::from_millis(500);
/// Frames of other members of the group that wait for the node's loop; further ones are lost, as on a network.
pub const MAX_FRAMES: usize = 1_024;
/// Words to systemd that wait because it does not read; further ones are lost.
pub const MAX_SYSTEMD_WORDS: usize = 4;

/// Connections at once from those who belong to no group or another; a further one is refused. A group has seven members.
pub const MAX_MEMBER_LINKS: usize = 8;
/// Connections to the members' port that have not proven yet who they are; of more the oldest is closed.
pub const MAX_MEMBER_STRANGERS: usize = 16;
/// Time to connect, for TLS and for the introduction between two members.
pub const MEMBER_HANDSHAKE_WITHIN: Duration = Duration::from_secs(2);
/// Frames that wait for one connection to a member; a further one is dropped and counted.
pub const MEMBER_QUEUE: usize = 1_024;
/// Bytes of them; as [`MEMBER_QUEUE`].
pub const MEMBER_QUEUE_BYTES: usize = 32 * 1024 * 1024;
/// Bytes written to a member at a time.
pub const MEMBER_WRITE_CHUNK: usize = 64 * 1024;
/// Time for that; a connection that takes longer is closed and made anew.
pub const MEMBER_WRITE_WITHIN: Duration = Duration::from_secs(1);
/// A member that has nothing to say says so in this time.
pub const MEMBER_BEAT_EVERY: Duration = Duration::from_millis(500);
/// Silence of a member after which the connection is closed and made anew; what is sent and not acknowledged for so long
/// has the same end.
pub const MEMBER_SILENCE: Duration = Duration::from_secs(2);
/// First and longest pause before a member is dialled again; it doubles in between.
pub const MEMBER_BACKOFF: Duration = Duration::from_millis(50);
/// See [`MEMBER_BACKOFF`].
pub const MEMBER_BACKOFF_MOST: Duration = Duration::from_secs(1);
/// Longest word between members beside frames, bytes; a longer one ends the connection.
pub const MAX_MEMBER_WORD: usize = 128 * 1024;
/// Answers to words that wait for one connection; one that asks for more is closed.
pub const MAX_MEMBER_REPLIES: usize = 16;
/// Bytes of keys told to another server whose configuration differs; there it is said that there are more.
pub const MAX_EXCERPT: usize = 120 * 1024;
/// Keys named that differ between two servers; of more it is said that there are.
pub const MAX_DIFFERING: usize = 100;
/// Sources that came as members and were not let in, whose reasons are remembered; those of further ones are not logged.
pub const MAX_MEMBER_SOURCES: usize = 64;
/// A member's certificate that ends within this time is complained about, once a day.
pub const MEMBER_EXPIRY_SAID: Duration = Duration::from_secs(30 * 86_400);
/// A day.
pub const DAY: Duration = Duration::from_secs(86_400);
/// How long they are remembered; then the same reason is logged anew.
pub const MEMBER_SAID_AGAIN: Duration = Duration::from_secs(3_600);

/// Rows of one page of `/api/dn` and `/api/reg`; whoever asks for more is told so. A page takes the node a few ms.
pub const MAX_PAGE_ROWS: usize = 1_000;
/// A server that is ordered to end as by `kill -9` does so after this time: its answer leaves first.
pub const FAILS_AFTER: Duration = Duration::from_millis(50);

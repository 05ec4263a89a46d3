//! Bounds of the switch: what happens when a table is full stands beside each number.

use std::time::Duration;

/// Most that `capacity` and `max-calls-per-second` of a trunk may be; a larger number is refused in the configuration.
pub const MAX_TRUNK_CALLS: u64 = 1_000_000;

/// Calls at once; a further INVITE gets 503 with Retry-After.
pub const MAX_CALLS: usize = 100_000;
/// Contacts to which one call is forked; further contacts of the DN are not tried.
pub const MAX_BRANCHES: usize = 16;
/// Legs of one call beside the caller's, one after the other and beside each other; a further place is not tried, and an
/// offer beyond it fails with 503.
pub const MAX_LEGS: u8 = 239;
/// Longest user data that a call carries to the peer or is believed from there, bytes as printed; longer ones stay
/// behind and are counted.
pub const MAX_CARRIED_BYTES: usize = 8_192;
/// Longest User-to-User header that passes, bytes; a longer one stays behind.
pub const MAX_USER_TO_USER_BYTES: usize = 2_048;
/// Numbers that a call was sent on from of which those who are called next are told; further ones are not.
pub const MAX_SENT_ON: usize = 5;
/// Bytes of an index of `History-Info` (RFC 7044 5); what would be longer is not told.
pub const MAX_HISTORY_INDEX_BYTES: usize = 64;
/// Early dialogs of one call; a provisional response that would open one more is not passed on.
pub const MAX_PAIRS: usize = 16;
/// Places one call is tried in turn (trunks of a rule, then local delivery).
pub const MAX_STAGES: usize = 8;
/// In-dialog requests of one call that wait for their answer at once; a further one gets 503 with Retry-After.
pub const MAX_PENDING: usize = 16;
/// Contacts per address of record unless the DN says otherwise; a REGISTER that would exceed it gets 403.
pub const MAX_CONTACTS: usize = 10;
/// Calls whose decisions are kept after they end, for `tandem why`; the oldest are forgotten.
pub const MAX_EXPLAINED: usize = 100_000;
/// Steps kept of one call's decisions; later ones are counted only.
pub const MAX_STEPS: usize = 64;
/// Requests of this server's own to the parties of one call at once; an operation beyond it gets 503.
pub const MAX_TELLINGS: usize = 8;
/// How long parties of a conference wait for the mixer, without media, before they are hung up.
pub const MIXER_PATIENCE: Duration = Duration::from_secs(10);
/// Orders of requests that wait until their calls are at rest; one beyond it is refused as the call's state demands.
pub const MAX_HELD_ORDERS: usize = 1_000;
/// The same of one call.
pub const MAX_HELD_ORDERS_OF_CALL: usize = 4;
/// How long such an order waits before it is refused: longer than an exchange takes that loses a message or two.
pub const HELD_ORDER_PATIENCE: Duration = Duration::from_secs(5);
/// How often one call follows a redirection (3xx); the next one gets 482.
pub const MAX_REDIRECTS: u8 = 5;
/// Contacts of one redirection that are tried; further ones are not.
pub const MAX_REDIRECT_TARGETS: usize = 5;
/// How long a party that was replaced may take to hang up before it is hung up on.
pub const REFERRER_PATIENCE: Duration = Duration::from_secs(2);
/// Seconds for which the sender of a REFER is promised word of it: longer than a call rings.
pub const REFER_EXPIRES_S: u32 = 600;
/// Digits of one DTMF operation; a longer one gets 413.
pub const MAX_DIGITS: usize = 64;
/// Dialogs remembered of one call that it ended while it went on; a BYE that crosses in an older one gets 481.
pub const MAX_DEPARTED: usize = 4;
/// Reliable provisional responses that wait behind one which the caller has not acknowledged; a further one is not sent.
pub const MAX_UNACKNOWLEDGED: usize = 8;
/// Longest session description that is kept so that a refresh can repeat it, bytes; a leg with a longer one is asked by
/// OPTIONS whether it lives.
pub const MAX_KEPT_DESCRIPTION: usize = 4_096;
/// How often an INVITE of this server's own within a call meets one of the other end before it is given up.
pub const MAX_GLARES: u8 = 5;
/// Outputs that may wait for one commit; beyond it new requests get 503 with Retry-After.
pub const MAX_HELD_OUTPUTS: usize = 262_144;
/// ACKs kept for repeated 2xx; the oldest beyond it is forgotten.
pub const MAX_KEPT_ACKS: usize = 400_000;
/// Legs of a lost peer trunk that are audited in one second.
pub const AUDITS_PER_SECOND: u32 = 100;
/// Seconds named in Retry-After when a table is full.
pub const RETRY_AFTER_S: u32 = 5;
/// DNs whose expired bindings are removed in one turn; the others follow in the next, so that calls are not held up.
pub const MAX_EXPIRED_AT_ONCE: usize = 1_000;
/// Longest contact URI with its parameters that a REGISTER may bring, bytes; a longer one gets 400.
pub const MAX_CONTACT_BYTES: usize = 1_024;
/// Proxies that one Path may name; a REGISTER with more gets 400.
pub const MAX_PATH: usize = 8;
/// Bytes of one Path; a REGISTER with more gets 400.
pub const MAX_PATH_BYTES: usize = 1_024;
/// Pause before a binding in quarantine is asked a second time whether it lives; each further pause is twice as long.
pub const GHOST_ASKED_AFTER: Duration = Duration::from_secs(5);
/// The longest such pause.
pub const GHOST_ASKED_AFTER_MOST: Duration = Duration::from_secs(60);
/// Keep-alives and questions to phones sent in one turn; the others follow in the next, so that calls are not held up.
pub const MAX_PULSES_AT_ONCE: usize = 200;
/// Bindings of which it is told in one turn what happened to them; the others follow in the next, so that the end of a
/// connection with thousands of phones behind it holds up no call.
pub const MAX_BINDING_NEWS_AT_ONCE: usize = 500;
/// REGISTERs that wait for their turn; of more the last of the lowest rank gets 503 with Retry-After. About 2 kB each. A
/// source that has as many as places are left gets 503 for the last of its lowest rank.
pub const MAX_WAITING_REGISTERS: usize = 65_536;
/// REGISTERs that may wait of any source, however few places are left.
pub const REGISTERS_OF_ANY_SOURCE: usize = 16;
/// REGISTERs among which the last of a source is looked for, from the end of its rank; if it is not among them the one
/// that came is refused.
pub const REGISTERS_LOOKED_AT: usize = 1_024;
/// Longest wait of a REGISTER, s: a third of the time in which a phone repeats it (Timer F). Who would wait longer gets 503.
pub const REGISTER_PATIENCE: Duration = Duration::from_secs(10);
/// REGISTERs that must wait at once for a storm to be told of.
pub const STORM_WORTH_TELLING: usize = 100;
/// Granted for an `expires` that is no number, seconds (RFC 3261 20.10); `max-expires` still applies.
pub const MALFORMED_EXPIRES_S: u32 = 3_600;
/// How long a nonce of digest authentication is good, ms; an older one is answered with `stale=true`. Longer than the longest
/// usual registration, so that a phone may prove itself at its next one without being asked: each use counts up, and none
/// counts twice.
pub const NONCE_LIFETIME_MS: u64 = 3_900_000;
/// How often the credentials of somebody who is locked out are judged when he calls for help; in between he gets 503.
pub const LOCKED_PROOF_INTERVAL: Duration = Duration::from_secs(10);
/// Used nonces whose counts are remembered; when there are more the oldest is forgotten, and stale.
pub const MAX_NONCES: usize = 262_144;
/// Sessions of CTI clients, those away included; a further one takes the place of whoever has been away longest past
/// its grace, or is refused with 166.
pub const MAX_SESSIONS: usize = 20_000;
/// DNs that one session may register; a further one is refused with 166.
pub const MAX_DNS_PER_SESSION: usize = 20_000;
/// Registrations of DNs by all sessions; a further one is refused with 166.
pub const MAX_CLIENT_REGISTRATIONS: usize = 1_000_000;
/// Latest events of a session that are kept for its resumption; a client that missed more gets snapshots.
pub const MAX_STREAM_EVENTS: usize = 1_024;
/// How long events that were sent over a connection are kept, ms. What a connection can lose unnoticed is younger: a silent
/// one is closed within 80 s. While the client is away nothing grows too old.
pub const STREAM_KEPT_MS: u64 = 120_000;
/// Requests of a session whose `ReferenceID` is remembered; an older one that comes again is a new request.
pub const MAX_REMEMBERED_REQUESTS: usize = 256;
/// How long the whole answer to a request is kept, ms; afterwards a repetition is told only that it was carried out,
/// or with which error it was refused.
pub const ANSWER_KEPT_MS: u64 = 600_000;
/// Latest answers of a session that its record names, so that a backup does not carry their requests out again.
pub const MAX_STORED_ANSWERS: usize = 4;
/// How long a session outlives its connection.
pub const SESSION_LINGER: Duration = Duration::from_secs(300);
/// How long the clients of a server that took over, or started again, have to come back before they count as
/// disconnected. Client libraries try a lost server again every 20 s.
pub const RESTORED_SESSION_GRACE: Duration = Duration::from_secs(60);
/// How long a server that took over, or started again, waits before registrations that ended meanwhile count as expired,
/// and before sessions of calls whose far ends refresh them count as over: longer than a phone takes to try again.
pub const RESTORED_GRACE: Duration = Duration::from_secs(60);
/// Records that cannot be read of which a restoration names the numbers.
pub const MAX_UNREAD_NAMED: usize = 16;
/// Within how long such a server does what was due meanwhile of its calls, so that not all of it happens at once.
pub const RESTORED_SPREAD: Duration = Duration::from_secs(10);
/// By how much the first request in a dialog that was taken up again is numbered higher than what is stored: more than a
/// process sends in one dialog before its record is stored.
pub const RESTORED_CSEQ_STEP: u32 = 100;
/// The CSeq of the BYE in a dialog of which no process has a record is beyond this.
pub const ORPHAN_CSEQ_STEP: u32 = 1_000_000;
/// Calls that are over and stay stored because their records for the operator are not confirmed as written, about 5 kB each.
/// Beyond it the one that ended first is forgotten: its record is then lost if the process ends before it is written, as
/// when nothing has been written for long because the disk is full.
pub const MAX_UNWRITTEN: usize = 20_000;
/// The same of subscriptions, which are stored at each SUBSCRIBE: more than the NOTIFYs of the longest one.
pub const RESTORED_WATCH_STEP: u32 = 100_000;
/// Watchers that are told everything anew in one second after a restart or a takeover; the others follow.
pub const RESTORED_NOTIFIES_PER_S: u32 = 1_000;
/// How often a watcher whose connection went with an earlier process is looked for, during `RESTORED_GRACE`.
pub const WATCHER_LOOKED_FOR_EVERY: Duration = Duration::from_secs(5);
/// How long a request within a call waits for a phone whose connection went with an earlier process: less than the sender
/// of a request that is passed on waits for its answer (Timer F).
pub const AWAY_PATIENCE: Duration = Duration::from_secs(20);
/// Requests that wait so; a further one fails at once.
pub const MAX_AWAY: usize = 10_000;
/// Agents logged in at once; a further login gets 166.
pub const MAX_AGENTS: usize = 100_000;
/// Queues that one agent names at his logins; a further one gets 166.
pub const MAX_QUEUES_OF_AGENT: usize = 64;
/// Longest AgentID, bytes; a longer one gets 53.
pub const MAX_AGENT_ID_BYTES: usize = 255;
/// Agents whose timers are run in one turn; the others follow in the next, so that calls are not held up.
pub const MAX_AGENT_TIMERS_AT_ONCE: usize = 1_000;
/// Keys of one list of reasons or extensions, nested ones included; a request with more gets 53.
pub const MAX_LIST_KEYS: usize = 64;
/// Bytes of the keys and values of one list of reasons or extensions; a request with more gets 53.
pub const MAX_LIST_BYTES: usize = 8_192;
/// Levels of one list of reasons or extensions; a request with more gets 53.
pub const MAX_LIST_DEPTH: usize = 4;
/// Parties of one T-Library call; a conference takes no further one (166).
pub const MAX_PARTIES: usize = 32;
/// User data of one call, bytes of keys and values; a request that would exceed it gets 53.
pub const MAX_USER_DATA_BYTES: usize = 65_536;
/// Keys in the user data of one call, those of lists within it included; a request that would exceed it gets 53.
pub const MAX_USER_DATA_KEYS: usize = 256;
/// Lists within lists in user data; a request with deeper ones gets 53.
pub const MAX_USER_DATA_DEPTH: usize = 8;
/// Characters of a destination in a request; a longer one gets 71.
pub const MAX_DESTINATION: usize = 64;
/// Calls that may wait in one queue, or at one routing point; a further one overflows, or is refused with 486.
pub const MAX_QUEUED: usize = 10_000;
/// Combinations of further skills that calls of one queue may want at once; a call with one more overflows as if the
/// queue were full. Each costs an entry for every available agent who fits it.
pub const MAX_SKILL_CLASSES: usize = 32;
/// Further skills that one call may want; those that follow by name are passed over.
pub const MAX_WANTED_SKILLS: usize = 16;
/// How long an agent who failed an offer is not offered the same call again, ms. Long enough for his phone or his
/// desktop to settle and for another agent to become free, short beside what a caller waits anyway.
pub const PAUSE_AFTER_FAILED_MS: u64 = 5_000;
/// Agents who failed a call that it remembers; the oldest is forgotten, and may be offered it again.
pub const MAX_FAILED_KEPT: usize = 8;
/// Overflows of a call in a row without any wait between them, through queues that send it on at once; then it is
/// refused with 480, so that queues which overflow to one another do not play with it for ever.
pub const MAX_OVERFLOWS_AT_ONCE: u32 = 8;
/// Others named in an explanation of who gets a call, or of why an agent gets none.
pub const MAX_CONSIDERED: usize = 8;
/// Steps kept of one call's way through queues; the oldest are forgotten.
pub const MAX_CALL_STEPS: usize = 32;
/// Steps kept of what queues decided about one agent; the oldest are forgotten.
pub const MAX_AGENT_STEPS: usize = 16;
/// Calls that left their queue and are still explained; the oldest are forgotten.
pub const MAX_EXPLAINED_QUEUED: usize = 10_000;
/// Logged-out agents whose history is kept; the oldest are forgotten.
pub const MAX_GONE_AGENTS: usize = 1_000;
/// Media players that one call may have one after the other; then it has ringback. Each is an early dialog more for the
/// caller's phone, so a player stays while its call waits and is made anew only when it was lost or the call had left.
pub const MAX_PLAYERS: u8 = 16;
/// How long a caller is told nothing while a media server is asked to play; then he has ringback until it does.
pub const MEDIA_PATIENCE: Duration = Duration::from_secs(3);
/// Bytes of the name of a media file; a longer one gets 53, or is refused in the configuration.
pub const MAX_MEDIA_NAME: usize = 128;
/// Calls, and agents, that `tandem drain --status` names; of more it gives the number.
pub const MAX_DRAIN_LINES: usize = 200;
/// Agents that a migration remembers as moved; of more the first may log in again.
pub const MAX_MIGRATED: usize = 100_000;
/// Subscriptions at once; a further SUBSCRIBE gets 503 with Retry-After.
pub const MAX_SUBSCRIPTIONS: usize = 200_000;
/// The same of one watcher: an attendant's phone with its side cars.
pub const MAX_SUBSCRIPTIONS_PER_WATCHER: usize = 256;
/// Shortest subscription, s: a SUBSCRIBE asking for less (but not 0) gets 423.
pub const MIN_SUBSCRIPTION_S: u32 = 60;
/// Time between two NOTIFYs to one watcher of one thing (RFC 4235 3.10); what changes meanwhile is told together.
pub const NOTIFY_INTERVAL: Duration = Duration::from_secs(1);
/// Subscriptions whose turn is taken at one moment; the others follow in the next, so that calls are not held up.
pub const MAX_NOTIFIED_AT_ONCE: usize = 1_000;
/// Longest `id` of an `Event`, bytes; a longer one gets 400.
pub const MAX_EVENT_ID_BYTES: usize = 64;
/// Longest URI that is subscribed to, bytes; a longer one gets 414.
pub const MAX_ENTITY_BYTES: usize = 256;
/// Calls of one Extension that a watcher is told of; further ones are not shown.
pub const MAX_LAMPS: usize = 32;
/// Mailboxes whose summary is kept; that of a further one gets 503.
pub const MAX_MAILBOXES: usize = 200_000;
/// Longest message summary, bytes; a longer one gets 413.
pub const MAX_SUMMARY_BYTES: usize = 2_048;
/// The longest that a trunk's target is left alone because its 503 said so by Retry-After; a longer wish is cut to it.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);
/// How long a target that took no call is passed over, seconds, when the trunk has others and neither `oos-check` nor
/// `recovery-timeout` says when to ask again.
pub const TARGET_REST_S: u32 = 30;
/// Sources and users whose wrong credentials are remembered; beyond it the one that would be forgotten first is.
pub const MAX_LOCKS: usize = 65_536;
/// Sources in each of the two tables of request rates; beyond it those that have been silent longest begin anew.
pub const MAX_SOURCES: usize = 65_536;
/// Lines logged about one source at once, then one a second; the others are counted in the next.
pub const SOURCE_LINES: u32 = 10;
/// Such lines in a second, and at once, about all sources together; the others are counted only.
pub const GUARD_LINES: u32 = 50;
/// Longest text of the wire in such a line, bytes; the rest is left out.
pub const MAX_INCIDENT_TEXT: usize = 64;
/// Highest `external-calls-per-minute`.
pub const MAX_TOLL_PER_MINUTE: usize = 1_000;
/// Emergency numbers; more is a configuration error.
pub const MAX_EMERGENCY_NUMBERS: usize = 32;
/// Calls beyond `max-calls` that are kept for emergency calls.
pub const EMERGENCY_CALLS: usize = 64;
/// How long messages may wait; beyond it the server is overloaded, and refuses what matters least.
pub const OVERLOAD_TARGET: Duration = Duration::from_millis(100);
/// How often the pressure of an overload is judged anew.
pub const OVERLOAD_STEP: Duration = Duration::from_millis(100);
/// Anchored legs at once, those that ended a moment ago included; a further one is refused, or goes without a media server
/// where it can.
pub const MAX_ANCHORS: usize = 20_000;
/// Messages of one anchored leg that wait for a media server; a further one is dropped, as if it were lost on the way.
pub const MAX_ANCHOR_WAITING: usize = 16;
/// How long a message of an anchored leg waits for a media server: two that are silent are found out within it.
pub const ANCHOR_PATIENCE: Duration = Duration::from_secs(3);
/// How long an anchored leg is remembered after its end, so that repetitions of its messages leave as they did before:
/// longer than any transaction of it lives.
pub const ANCHOR_LINGER: Duration = Duration::from_secs(40);
/// How often anchored legs are looked for in the calls: one that is in none is over.
pub const ANCHOR_SWEEP_EVERY: Duration = Duration::from_secs(10);

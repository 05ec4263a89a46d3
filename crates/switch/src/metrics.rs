//! Counters of the node: plain numbers, read by whoever exports them.

/// What happened so far, each since start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests received that opened a server transaction, and ACKs.
    pub requests: u64,
    /// Responses received that matched a transaction.
    pub responses: u64,
    /// Responses that matched nothing, dropped.
    pub stray_responses: u64,
    /// Requests refused with 400.
    pub bad_requests: u64,
    /// Calls opened.
    pub calls: u64,
    /// Calls answered.
    pub calls_answered: u64,
    /// Calls that were given a nailed-up connection.
    pub calls_over_nailed: u64,
    /// Calls redirected to the peer by 302.
    pub forwards_redirected: u64,
    /// New calls that graceful migration sent to the peer.
    pub calls_migrated: u64,
    /// Calls forwarded to the peer in the signalling path.
    pub forwards_in_path: u64,
    /// Calls received that the peer had forwarded.
    pub forwards_received: u64,
    /// In-path forwards that fell back to local delivery.
    pub forward_fallbacks: u64,
    /// REGISTERs accepted.
    pub registers: u64,
    /// Bindings that expired.
    pub bindings_expired: u64,
    /// REGISTERs that waited for their turn.
    pub registers_waited: u64,
    /// REGISTERs refused because too many waited.
    pub registers_refused: u64,
    /// Contacts put into quarantine.
    pub bindings_quarantined: u64,
    /// Contacts that came back from there.
    pub bindings_restored: u64,
    /// Contacts removed from there.
    pub bindings_removed: u64,
    /// Challenges sent.
    pub challenges: u64,
    /// Credentials that were wrong.
    pub authentication_failures: u64,
    /// Requests refused because a table was full.
    pub refused_full: u64,
    /// Redirections (3xx) of callees that were followed.
    pub redirects_followed: u64,
    /// REFERs accepted.
    pub refers: u64,
    /// INVITEs refused or redirected because the server is being drained.
    pub refused_draining: u64,
    /// Requests refused because of overload: OPTIONS, subscriptions and the like.
    pub shed_chat: u64,
    /// The same: new calls.
    pub shed_calls: u64,
    /// The same: registrations.
    pub shed_registrations: u64,
    /// Users and sources locked out.
    pub locked_out: u64,
    /// Requests turned away because their user or source is locked out.
    pub refused_locked_out: u64,
    /// Requests turned away because their source comes too fast.
    pub refused_too_fast: u64,
    /// Requests turned away because of the network that they come from.
    pub refused_networks: u64,
    /// Lines about sources that were not logged: too many about the source, or about all.
    pub guard_unlogged: u64,
    /// Requests taken for a scanner's.
    pub scanners: u64,
    /// External calls refused because of a limit of the Extension.
    pub toll_barred: u64,
    /// Emergency calls.
    pub emergency_calls: u64,
    /// User data that were too long for the trunk to the peer, or came over it damaged.
    pub user_data_dropped: u64,
    /// Changes of the continuity mode.
    pub mode_changes: u64,
    /// Legs audited over a lost peer trunk.
    pub legs_audited: u64,
    /// Legs ended by an audit.
    pub legs_ended_by_audit: u64,
    /// Refreshes of sessions by this server.
    pub session_refreshes: u64,
    /// Calls ended because a session was not refreshed, or its far end was gone.
    pub sessions_expired: u64,
    /// Requests of CTI clients.
    pub cti_requests: u64,
    /// Of these, refused at once.
    pub cti_refused: u64,
    /// Calls that queues and routing points sent on by themselves.
    pub queue_overflows: u64,
    /// Subscriptions that were accepted.
    pub subscribes: u64,
    /// Subscriptions that were refused to somebody who proved who he is.
    pub subscribes_refused: u64,
    /// NOTIFYs sent.
    pub notifies: u64,
    /// Subscriptions that ended because a NOTIFY could not be delivered.
    pub watchers_lost: u64,
}

impl Counters {
    /// Every counter as `(name, help, value)`, named the Prometheus way.
    pub fn each(&self) -> impl Iterator<Item = Counted> {
        self.of_calls()
            .into_iter()
            .chain(self.of_others())
            .chain(self.of_the_door())
            .chain(self.of_watchers())
    }

    fn of_watchers(&self) -> [Counted; 4] {
        [
            ("tandem_subscribes_total", "Subscriptions accepted", self.subscribes),
            ("tandem_subscribes_refused_total", "Subscriptions refused", self.subscribes_refused),
            ("tandem_notifies_total", "NOTIFY requests sent", self.notifies),
            (
                "tandem_watchers_lost_total",
                "Subscriptions ended because a NOTIFY could not be delivered",
                self.watchers_lost,
            ),
        ]
    }

    fn of_the_door(&self) -> [Counted; 11] {
        [
            ("tandem_shed_chat_total", "OPTIONS, SUBSCRIBE and the like refused in overload", self.shed_chat),
            ("tandem_shed_calls_total", "New calls refused in overload", self.shed_calls),
            ("tandem_shed_registrations_total", "REGISTERs refused in overload", self.shed_registrations),
            (
                "tandem_locked_out_total",
                "Users and sources locked out after wrong credentials",
                self.locked_out,
            ),
            (
                "tandem_refused_locked_out_total",
                "Requests turned away because their source is locked out",
                self.refused_locked_out,
            ),
            (
                "tandem_refused_too_fast_total",
                "Requests turned away by requests-per-second",
                self.refused_too_fast,
            ),
            (
                "tandem_guard_lines_unlogged_total",
                "Lines about sources that misbehave that were held back, of one source or of all",
                self.guard_unlogged,
            ),
            (
                "tandem_refused_networks_total",
                "Requests turned away because of their network",
                self.refused_networks,
            ),
            ("tandem_scanners_total", "Requests taken for a scanner's", self.scanners),
            ("tandem_toll_barred_total", "External calls refused by a limit", self.toll_barred),
            ("tandem_emergency_calls_total", "Emergency calls", self.emergency_calls),
        ]
    }

    fn of_calls(&self) -> [Counted; 12] {
        [
            ("tandem_sip_requests_total", "SIP requests received, retransmissions excluded", self.requests),
            ("tandem_sip_responses_total", "SIP responses that matched a transaction", self.responses),
            ("tandem_sip_stray_responses_total", "SIP responses that matched nothing", self.stray_responses),
            ("tandem_sip_bad_requests_total", "Requests refused with 400", self.bad_requests),
            ("tandem_calls_total", "Calls opened", self.calls),
            ("tandem_calls_answered_total", "Calls answered", self.calls_answered),
            ("tandem_calls_over_nailed_total", "Calls given a nailed-up connection", self.calls_over_nailed),
            (
                "tandem_migrated_calls_total",
                "New calls that graceful migration sent to the peer",
                self.calls_migrated,
            ),
            (
                "tandem_dr_forwards_redirected_total",
                "Calls redirected to the peer by 302",
                self.forwards_redirected,
            ),
            (
                "tandem_dr_forwards_in_path_total",
                "Calls forwarded to the peer in path",
                self.forwards_in_path,
            ),
            (
                "tandem_dr_forwards_received_total",
                "Calls received that the peer forwarded",
                self.forwards_received,
            ),
            (
                "tandem_dr_forward_fallbacks_total",
                "Forwards that fell back to local delivery",
                self.forward_fallbacks,
            ),
        ]
    }

    fn of_others(&self) -> [Counted; 22] {
        [
            ("tandem_registers_total", "REGISTER requests accepted", self.registers),
            (
                "tandem_registers_waited_total",
                "REGISTER requests that waited because more came than register-rate",
                self.registers_waited,
            ),
            (
                "tandem_registers_refused_total",
                "REGISTER requests refused with 503 because too many waited",
                self.registers_refused,
            ),
            ("tandem_bindings_expired_total", "Bindings that expired", self.bindings_expired),
            (
                "tandem_bindings_quarantined_total",
                "Contacts put into quarantine: their flow failed, or the phone left them for another",
                self.bindings_quarantined,
            ),
            ("tandem_bindings_restored_total", "Contacts taken back from quarantine", self.bindings_restored),
            ("tandem_bindings_removed_total", "Contacts removed from quarantine", self.bindings_removed),
            ("tandem_challenges_total", "Digest challenges sent", self.challenges),
            ("tandem_authentication_failures_total", "Wrong credentials", self.authentication_failures),
            (
                "tandem_redirects_followed_total",
                "Redirections of callees that were followed",
                self.redirects_followed,
            ),
            ("tandem_refers_total", "Transfers by REFER accepted", self.refers),
            ("tandem_refused_full_total", "Requests refused because a table was full", self.refused_full),
            (
                "tandem_refused_draining_total",
                "INVITEs refused or redirected because the server is drained",
                self.refused_draining,
            ),
            (
                "tandem_user_data_dropped_total",
                "User data too long for the peer trunk, or damaged on it",
                self.user_data_dropped,
            ),
            ("tandem_mode_changes_total", "Changes of the continuity mode", self.mode_changes),
            ("tandem_legs_audited_total", "Legs audited over a lost peer trunk", self.legs_audited),
            ("tandem_legs_ended_by_audit_total", "Legs ended by an audit", self.legs_ended_by_audit),
            (
                "tandem_session_refreshes_total",
                "Sessions that this server refreshed, or asked whether they live",
                self.session_refreshes,
            ),
            (
                "tandem_sessions_expired_total",
                "Calls ended because a far end was silently gone",
                self.sessions_expired,
            ),
            ("tandem_cti_requests_total", "Requests of CTI clients", self.cti_requests),
            (
                "tandem_cti_refused_total",
                "Requests of CTI clients that were refused at once",
                self.cti_refused,
            ),
            (
                "tandem_queue_overflows_total",
                "Calls that queues and routing points sent on by themselves",
                self.queue_overflows,
            ),
        ]
    }
}

/// A counter's name, its meaning and its value.
pub type Counted = (&'static str, &'static str, u64);

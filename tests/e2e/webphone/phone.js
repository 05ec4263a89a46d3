// Two browser softphones behind one face: `phone` is what the play speaks to. Whoever is called answers at once.
import JsSIP from "jssip";
import { Inviter, Registerer, RegistererState, SessionState, UserAgent } from "sip.js";

const audio = { audio: true, video: false };
const state = { registered: null, call: "none", refused: null, held: false, transfer: null, log: [], connections: [] };

const note = (what) => state.log.push(`${Math.round(performance.now())} ${what}`);

// Every connection that the page makes, so that both libraries are measured alike.
const Native = window.RTCPeerConnection;
window.RTCPeerConnection = function (...all) {
  const made = new Native(...all);
  state.connections.push(made);
  return made;
};
window.RTCPeerConnection.prototype = Native.prototype;

function jssip({ sites, user, password, host }) {
  // Of sockets with the same weight it takes any.
  const sockets = sites.map((url, place) => ({ socket: new JsSIP.WebSocketInterface(url), weight: sites.length - place }));
  const ua = new JsSIP.UA({
    sockets, uri: `sip:${user}@${host}`, password, register_expires: 60, session_timers: false,
    connection_recovery_min_interval: 1, connection_recovery_max_interval: 2,
  });
  let session = null;
  const watch = (made) => {
    session = made;
    state.call = "ringing";
    made.on("accepted", () => (state.call = "up"));
    made.on("confirmed", () => (state.call = "up"));
    made.on("failed", (e) => { state.call = "ended"; state.refused = e.message?.status_code ?? e.cause; note(`failed ${e.cause}`); });
    made.on("ended", () => (state.call = "ended"));
    made.on("hold", () => (state.held = true));
    made.on("unhold", () => (state.held = false));
  };
  ua.on("connected", (e) => note(`connected ${e.socket.url}`));
  ua.on("disconnected", (e) => { state.registered = null; note(`disconnected ${e.code}`); });
  ua.on("registered", () => { state.registered = ua._transport.url; note(`registered ${ua._transport.url}`); });
  ua.on("unregistered", () => (state.registered = null));
  ua.on("registrationFailed", (e) => note(`not registered: ${e.cause}`));
  ua.on("newRTCSession", ({ originator, session: made }) => {
    watch(made);
    if (originator === "remote") made.answer({ mediaConstraints: audio });
  });
  ua.start();
  return {
    call: (number) => { ua.call(`sip:${number}@${host}`, { mediaConstraints: audio }); },
    hold: () => session.hold(),
    resume: () => session.unhold(),
    hangUp: () => session.terminate(),
    transfer: (number) => session.refer(`sip:${number}@${host}`, {
      eventHandlers: { accepted: () => (state.transfer = "done"), failed: () => (state.transfer = "failed") },
    }),
  };
}

// SIP.js speaks to one server; the page goes to the next when the connection is lost.
function sipjs({ sites, user, password, host }) {
  let session = null, place = 0, ua = null;
  const watch = (made) => {
    session = made;
    state.call = "ringing";
    made.stateChange.addListener((now) => {
      if (now === SessionState.Established) state.call = "up";
      if (now === SessionState.Terminated) state.call = "ended";
    });
  };
  const begin = async () => {
    const server = sites[place % sites.length];
    const here = new UserAgent({
      uri: UserAgent.makeURI(`sip:${user}@${host}`), authorizationUsername: user, authorizationPassword: password,
      transportOptions: { server, connectionTimeout: 2, keepAliveInterval: 5 }, logLevel: "error",
      delegate: {
        onInvite: (invitation) => {
          watch(invitation);
          invitation.accept({ sessionDescriptionHandlerOptions: { constraints: audio } });
        },
        onDisconnect: (error) => {
          state.registered = null;
          note(`disconnected ${error}`);
          if (error && ua === here) next();
        },
      },
    });
    ua = here;
    try {
      await here.start();
      const registerer = new Registerer(here, { expires: 60 });
      registerer.stateChange.addListener((now) => {
        if (now === RegistererState.Registered && ua === here) { state.registered = server; note(`registered ${server}`); }
      });
      await registerer.register();
    } catch (error) {
      note(`${server}: ${error}`);
      if (ua === here) next();
    }
  };
  const next = () => { place += 1; setTimeout(begin, 100); };
  begin();
  const hold = (held) => session.invite({
    sessionDescriptionHandlerOptions: { hold: held },
    requestDelegate: { onAccept: () => (state.held = held), onReject: () => note("hold refused") },
  }).catch((error) => note(`hold: ${error}`));
  return {
    call: (number) => {
      const inviter = new Inviter(ua, UserAgent.makeURI(`sip:${number}@${host}`),
        { sessionDescriptionHandlerOptions: { constraints: audio } });
      watch(inviter);
      inviter.invite({ requestDelegate: { onReject: (answer) => (state.refused = answer.message.statusCode) } });
    },
    hold: () => hold(true),
    resume: () => hold(false),
    hangUp: () => (session.state === SessionState.Established ? session.bye() : session.cancel()),
    transfer: (number) => session.refer(UserAgent.makeURI(`sip:${number}@${host}`), {
      onNotify: (notification) => {
        notification.accept();
        if (/SIP\/2.0 200/.test(notification.request.body)) state.transfer = "done";
      },
    }),
  };
}

let made = null;
window.phone = {
  start: (kind, options) => { made = kind === "jssip" ? jssip(options) : sipjs(options); },
  do: (what, ...all) => { made[what](...all); },
  forget: () => { Object.assign(state, { call: "none", refused: null, held: false, transfer: null, connections: [] }); },
  state: () => JSON.stringify({ ...state, connections: state.connections.length }),
  // Packets of the latest connection so far, [received, sent].
  media: async () => {
    const counts = [0, 0];
    const latest = state.connections.at(-1);
    for (const report of latest ? (await latest.getStats()).values() : []) {
      if (report.type === "inbound-rtp") counts[0] += report.packetsReceived;
      if (report.type === "outbound-rtp") counts[1] += report.packetsSent;
    }
    return JSON.stringify(counts);
  },
};

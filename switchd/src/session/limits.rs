//! The bounds of a connection. Whatever a controller does, it costs the switch no more than these.

use ofproto::wire::segment;
use std::time::Duration;

/// Bytes of unsent output above which packet-ins for a connection are dropped (and counted).
pub const PACKET_IN_QUEUE: usize = 512 << 10;

/// Bytes of unsent output above which no further request is taken up, and dumps pause.
pub const REPLY_QUEUE: usize = 1 << 20;

/// Bytes of unsent output at which a connection is cut: it doesn't read, and status messages must not
/// be lost silently.
pub const HARD_QUEUE: usize = 8 << 20;

/// How long unsent output may stand still before the connection is cut.
pub const STALL: Duration = Duration::from_secs(30);

/// How long a peer may take to say hello.
pub const HANDSHAKE: Duration = Duration::from_secs(10);

/// Flows fetched at a time for a dump.
pub const FLOWS_PER_STEP: usize = 128;

/// How long an unfinished multipart request waits for its next segment.
pub const MULTIPART_WAIT: Duration = Duration::from_secs(5);

/// One connection's unfinished multipart requests, which may come interleaved: so many bytes together, as they came
/// over the wire.
pub const SEGMENTS: segment::Limits =
    segment::Limits { sequences: 8, segments: 1 << 16, bytes: 1 << 20, timeout: MULTIPART_WAIT.as_nanos() as u64 };

/// Open bundles of one connection.
pub const BUNDLES: usize = 32;

/// Messages of one bundle.
pub const BUNDLE_MESSAGES: usize = 100_000;

/// Bytes of one connection's bundles, as they came over the wire.
pub const BUNDLE_BYTES: usize = 32 << 20;

/// How long a bundle may lie idle.
pub const BUNDLE_WAIT: Duration = Duration::from_secs(10);

/// Flow monitors of one connection.
pub const MONITORS: usize = 64;

/// Longest frame part that fits a packet-in of any version beside its match.
pub const PACKET_IN_DATA: usize = 65_535 - 1024;

/// Changes that a connection's paused monitors remember.
pub const PAUSED_FLOWS: usize = 65_536;

//! What a controller's connections have in common.
//!
//! A channel is one main connection and perhaps auxiliary ones (OpenFlow 1.3.5 §6.3.8). The role, the
//! filter of asynchronous messages, kept packets and the like are the channel's: the main connection owns
//! them, and whoever drives an auxiliary connection lends them to it while it acts
//! ([`Session::swap_channel`]). Requests, replies, barriers, multiparts and bundles are each connection's
//! own.

use super::filter::Filter;
use super::{ConnId, DEFAULT_MISS_SEND_LEN, PacketInFormat, Purpose, Session, Settings};
use crate::packet_buffer::PacketBuffer;
use ofproto::Version;
use ofproto::role::Role;

/// Most auxiliary connections of a channel.
pub const MAX_AUXILIARY: u8 = 16;

/// The state of a channel.
#[derive(Debug)]
pub(super) struct Channel {
    pub role: Role,
    pub short_id: u16,
    pub filter: Filter,
    pub miss_send_len: u16,
    pub packet_in_format: PacketInFormat,
    pub controller_id: u16,
    /// 1.0 with `NXT_FLOW_MOD_TABLE_ID`: the command's upper byte is the table.
    pub flow_mod_table_id: bool,
    pub buffer: PacketBuffer,
}

impl Channel {
    /// A new main connection's, or what an auxiliary one has while it doesn't act: nothing.
    pub fn new(version: Version, purpose: Purpose, settings: &Settings, seed: u32) -> Self {
        let size = if matches!(purpose, Purpose::Auxiliary { .. }) { 0 } else { settings.buffers };
        Self {
            role: Role::Equal,
            short_id: 0,
            filter: Filter::silent(version),
            miss_send_len: DEFAULT_MISS_SEND_LEN,
            packet_in_format: PacketInFormat::Standard,
            controller_id: 0,
            flow_mod_table_id: false,
            buffer: PacketBuffer::new(size, settings.buffer_lifetime, seed),
        }
    }
}

impl Session {
    /// Its number among the channel's connections: 0 is the main one.
    pub fn auxiliary_id(&self) -> u8 {
        match self.purpose {
            Purpose::Auxiliary { id, .. } => id,
            Purpose::Controller | Purpose::Visitor => 0,
        }
    }

    /// The main connection, if this is an auxiliary one.
    pub fn main(&self) -> Option<ConnId> {
        match self.purpose {
            Purpose::Auxiliary { main, .. } => Some(main),
            Purpose::Controller | Purpose::Visitor => None,
        }
    }

    /// The connection that stands for the channel: others know the controller by it.
    pub fn governing(&self) -> ConnId {
        self.main().unwrap_or(self.id)
    }

    /// Whether the connection is set up so far that auxiliary ones may be opened beside it: the version is
    /// agreed on and has them, and the controller knows by the features reply whose they will be.
    pub fn introduced(&self) -> bool {
        self.introduced && self.version().is_some_and(|v| v >= Version::V13) && self.main().is_none()
    }

    /// Exchanges the channels of two connections: an auxiliary one acts with its main one's.
    pub fn swap_channel(&mut self, other: &mut Self) {
        std::mem::swap(&mut self.channel, &mut other.channel);
    }
}

//! Nicira's messages about the options that `tun_metadata` fields stand for (`nicira-ext.h`).

use super::{Reader, Writer};
use crate::error::OfError;
use crate::nx_message::{NxMessage, TlvMap, TlvTableCommand};

fn decode_maps(r: &mut Reader<'_>) -> Result<Vec<TlvMap>, OfError> {
    let mut maps = Vec::with_capacity(r.remaining() / 8);
    while !r.is_empty() {
        let (class, ty, len) = (r.u16("option_class")?, r.u8("option_type")?, r.u8("option_len")?);
        let index = r.u16("index")?;
        r.skip(2)?;
        maps.push(TlvMap { class, ty, len, index });
    }
    Ok(maps)
}

fn encode_maps(w: &mut Writer, maps: &[TlvMap]) {
    for m in maps {
        w.u16(m.class);
        w.u8(m.ty);
        w.u8(m.len);
        w.u16(m.index);
        w.zeros(2);
    }
}

pub(super) fn decode_mod(r: &mut Reader<'_>) -> Result<NxMessage, OfError> {
    let command = match r.u16("command")? {
        0 => TlvTableCommand::Add,
        1 => TlvTableCommand::Delete,
        2 => TlvTableCommand::Clear,
        n => TlvTableCommand::Unknown(n),
    };
    r.skip(6)?;
    Ok(NxMessage::TlvTableMod { command, maps: decode_maps(r)? })
}

pub(super) fn encode_mod(w: &mut Writer, command: TlvTableCommand, maps: &[TlvMap]) {
    w.u16(match command {
        TlvTableCommand::Add => 0,
        TlvTableCommand::Delete => 1,
        TlvTableCommand::Clear => 2,
        TlvTableCommand::Unknown(n) => n,
    });
    w.zeros(6);
    encode_maps(w, maps);
}

pub(super) fn decode_reply(r: &mut Reader<'_>) -> Result<NxMessage, OfError> {
    let (max_option_space, max_fields) = (r.u32("max_option_space")?, r.u16("max_fields")?);
    r.skip(10)?;
    Ok(NxMessage::TlvTableReply { max_option_space, max_fields, maps: decode_maps(r)? })
}

pub(super) fn encode_reply(w: &mut Writer, max_option_space: u32, max_fields: u16, maps: &[TlvMap]) {
    w.u32(max_option_space);
    w.u16(max_fields);
    w.zeros(10);
    encode_maps(w, maps);
}

//! Replaying and writing capture files (classic pcap, Ethernet).
//!
//! Format: <https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-05.html>. A file is untrusted:
//! lengths are checked against [`MAX_FRAME`] before anything is allocated.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::sync::Arc;

use ofproto::ids::QueueId;

use super::counters::Counter;
use super::{FramePool, LinkState, Port, PortCounters, PortError, PortRx, PortStats, PortTx, Transmitted};
use crate::checksum::finish_checksum;
use crate::clock::Time;
use crate::frame::{Frame, MAX_FRAME};
use crate::segment::segment;

const MAGIC_MICROS: u32 = 0xa1b2_c3d4;
const MAGIC_NANOS: u32 = 0xa1b2_3c4d;
const LINKTYPE_ETHERNET: u32 = 1;

/// Reads frames from a capture.
#[derive(Debug)]
pub struct PcapReader<R> {
    input: R,
    swapped: bool,
    nanos: bool,
}

fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl<R: Read> PcapReader<R> {
    /// Reads the file header.
    ///
    /// # Errors
    /// Not a pcap file, not of Ethernet frames, or unreadable.
    pub fn new(mut input: R) -> io::Result<Self> {
        let mut header = [0; 24];
        input.read_exact(&mut header)?;
        let magic = u32::from_le_bytes([header[0], header[1], header[2], header[3]]);
        let (swapped, nanos) = match magic {
            MAGIC_MICROS => (false, false),
            MAGIC_NANOS => (false, true),
            m if m.swap_bytes() == MAGIC_MICROS => (true, false),
            m if m.swap_bytes() == MAGIC_NANOS => (true, true),
            m => return Err(invalid(format!("magic number {m:#010x} is no pcap file's"))),
        };
        let reader = Self { input, swapped, nanos };
        let link = reader.word(&header, 20) & 0x0fff_ffff;
        if link != LINKTYPE_ETHERNET {
            return Err(invalid(format!("link type {link}: only Ethernet (1) is supported")));
        }
        Ok(reader)
    }

    fn word(&self, bytes: &[u8], at: usize) -> u32 {
        let word = bytes.get(at..).and_then(|b| b.first_chunk::<4>()).map_or(0, |b| u32::from_le_bytes(*b));
        if self.swapped { word.swap_bytes() } else { word }
    }

    /// The next frame and the moment it was captured, counted from the capture's epoch; `None` at
    /// the end. A frame that the capture cut short comes as far as it was kept.
    ///
    /// # Errors
    /// The file ends within a frame, or a length is beyond [`MAX_FRAME`].
    pub fn next_frame(&mut self, pool: &mut FramePool) -> io::Result<Option<(Time, Frame)>> {
        let mut header = [0; 16];
        let mut got = 0;
        while got < header.len() {
            match self.input.read(&mut header[got..]) {
                Ok(0) if got == 0 => return Ok(None),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => got += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        let kept = self.word(&header, 8) as usize;
        if kept > MAX_FRAME {
            return Err(invalid(format!("frame of {kept} bytes, {MAX_FRAME} at most")));
        }
        let fraction = u64::from(self.word(&header, 4));
        let nanos = u64::from(self.word(&header, 0)) * 1_000_000_000 + fraction * if self.nanos { 1 } else { 1000 };
        let mut frame = pool.take(kept);
        let room = frame.room_mut().get_mut(..kept).ok_or(io::ErrorKind::OutOfMemory)?;
        self.input.read_exact(room)?;
        frame.grow_into_room(kept);
        Ok(Some((Time(nanos), frame)))
    }
}

/// Writes frames to a capture with nanosecond times.
#[derive(Debug)]
pub struct PcapWriter<W> {
    output: W,
}

impl<W: Write> PcapWriter<W> {
    /// Writes the file header.
    ///
    /// # Errors
    /// What the output said.
    pub fn new(mut output: W) -> io::Result<Self> {
        let words = [MAGIC_NANOS, 2 | 4 << 16, 0, 0, MAX_FRAME as u32, LINKTYPE_ETHERNET];
        for word in words {
            output.write_all(&word.to_le_bytes())?;
        }
        Ok(Self { output })
    }

    /// Writes one frame with the time `at` since the epoch.
    ///
    /// # Errors
    /// What the output said.
    pub fn write(&mut self, at: Time, frame: &[u8]) -> io::Result<()> {
        let words =
            [(at.0 / 1_000_000_000) as u32, (at.0 % 1_000_000_000) as u32, frame.len() as u32, frame.len() as u32];
        for word in words {
            self.output.write_all(&word.to_le_bytes())?;
        }
        self.output.write_all(frame)
    }

    /// Flushes and gives the output back.
    ///
    /// # Errors
    /// What the output said.
    pub fn finish(mut self) -> io::Result<W> {
        self.output.flush()?;
        Ok(self.output)
    }
}

/// A port that receives what is in one capture file and writes what it sends to another.
///
/// Frames are replayed as fast as the worker takes them, in order. At the end the receive half
/// reports [`PortError::Closed`].
#[derive(Debug)]
pub struct Pcap {
    name: String,
    input: Option<PathBuf>,
    output: Option<PathBuf>,
    stats: Arc<PortStats>,
}

impl Pcap {
    /// A port between two files, each optional: nothing comes without an input, and what is sent
    /// without an output is counted and discarded.
    pub fn new(name: &str, input: Option<PathBuf>, output: Option<PathBuf>) -> Self {
        Self { name: name.to_owned(), input, output, stats: Arc::default() }
    }
}

impl Port for Pcap {
    fn name(&self) -> &str {
        &self.name
    }

    fn open_rx(&self) -> Result<Box<dyn PortRx>, PortError> {
        let failed = |source| PortError::Open { name: self.name.clone(), what: "capture file", source };
        let reader = match &self.input {
            Some(path) => Some(File::open(path).map(BufReader::new).and_then(PcapReader::new).map_err(failed)?),
            None => None,
        };
        Ok(Box::new(PcapRx { reader, counter: self.stats.receiver() }))
    }

    fn open_tx(&self) -> Result<Box<dyn PortTx>, PortError> {
        let failed = |source| PortError::Open { name: self.name.clone(), what: "capture file", source };
        let writer = match &self.output {
            Some(path) => Some(File::create(path).map(BufWriter::new).and_then(PcapWriter::new).map_err(failed)?),
            None => None,
        };
        Ok(Box::new(PcapTx { writer, counter: self.stats.transmitter(), count: 0 }))
    }

    fn counters(&self) -> PortCounters {
        self.stats.sum()
    }
}

#[derive(Debug)]
struct PcapRx {
    reader: Option<PcapReader<BufReader<File>>>,
    counter: Counter,
}

impl PortRx for PcapRx {
    fn receive(&mut self, burst: &mut Vec<Frame>, max: usize, pool: &mut FramePool) -> Result<usize, PortError> {
        let Some(reader) = &mut self.reader else { return Err(PortError::Closed) };
        let mut n = 0;
        while n < max {
            match reader.next_frame(pool) {
                Ok(Some((_, frame))) => {
                    self.counter.add(1, frame.len() as u64, 0, 0);
                    burst.push(frame);
                    n += 1;
                }
                Ok(None) => {
                    self.reader = None;
                    break;
                }
                Err(e) => {
                    self.reader = None;
                    self.counter.add(0, 0, 0, 1);
                    tracing::warn!(error = %e, "capture file ends early");
                    break;
                }
            }
        }
        if n == 0 { Err(PortError::Closed) } else { Ok(n) }
    }

    fn each_fd(&self, _each: &mut dyn FnMut(BorrowedFd<'_>)) {}

    fn cheap_when_idle(&self) -> bool {
        true
    }

    fn prepare_wait(&mut self) -> bool {
        self.reader.is_some()
    }

    fn check(&mut self) -> LinkState {
        LinkState::Up
    }
}

#[derive(Debug)]
struct PcapTx {
    writer: Option<PcapWriter<BufWriter<File>>>,
    counter: Counter,
    count: u64,
}

impl PcapTx {
    /// Writes a frame as it would appear on a wire: checksum finished, a super-frame in segments.
    fn write(&mut self, frame: &mut Frame) -> io::Result<()> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        let mut result = Ok(());
        let mut one = |bytes: &[u8]| {
            // No clock here: frames get consecutive times, which keeps their order.
            self.count += 1;
            if result.is_ok() {
                result = writer.write(Time(self.count), bytes);
            }
        };
        if frame.offload.gso.is_some() {
            segment(frame, |s| one(s.bytes())).map_err(|e| invalid(e.to_string()))?;
        } else {
            finish_checksum(frame);
            one(frame.bytes());
        }
        result
    }
}

impl PortTx for PcapTx {
    fn transmit(&mut self, _queue: QueueId, frames: &mut Vec<Frame>, pool: &mut FramePool) -> Transmitted {
        let mut done = Transmitted::default();
        let mut bytes = 0;
        for frame in frames.iter_mut() {
            match self.write(frame) {
                Ok(()) => {
                    done.sent += 1;
                    bytes += frame.len() as u64;
                }
                Err(_) => done.dropped += 1,
            }
        }
        self.counter.add(done.sent, bytes, 0, done.dropped);
        pool.put_all(frames);
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() -> io::Result<()> {
        let mut w = PcapWriter::new(Vec::new())?;
        w.write(Time(5_000_000_007), b"first")?;
        w.write(Time(6_000_000_000), &[9; 9000])?;
        let file = w.finish()?;
        let mut pool = FramePool::default();
        let mut r = PcapReader::new(&file[..])?;
        let (at, f) = r.next_frame(&mut pool)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        assert_eq!((at, f.bytes()), (Time(5_000_000_007), &b"first"[..]));
        let (_, f) = r.next_frame(&mut pool)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        assert_eq!(f.bytes(), [9; 9000]);
        assert!(r.next_frame(&mut pool)?.is_none());
        Ok(())
    }

    #[test]
    fn a_file_is_replayed_and_unfinished_checksums_are_finished() -> Result<(), Box<dyn std::error::Error>> {
        let path = std::env::temp_dir().join(format!("datapath-pcap-{}.pcap", std::process::id()));
        let mut pool = FramePool::default();
        let port = Pcap::new("dump", None, Some(path.clone()));
        let mut partial = Frame::from_bytes(&[1, 2, 3, 4, 0, 0]);
        partial.offload.checksum = Some(crate::frame::PartialChecksum { start: 0, offset: 4 });
        let mut tx = port.open_tx()?;
        let t = tx.transmit(QueueId(0), &mut vec![Frame::from_bytes(b"plain"), partial], &mut pool);
        assert_eq!((t.sent, port.counters().tx_bytes), (2, 11));
        drop(tx);
        let port = Pcap::new("replay", Some(path.clone()), None);
        let mut rx = port.open_rx()?;
        let mut got = Vec::new();
        assert_eq!(rx.receive(&mut got, 32, &mut pool)?, 2);
        assert!(matches!(rx.receive(&mut got, 32, &mut pool), Err(PortError::Closed)));
        std::fs::remove_file(path)?;
        let sum = !(0x0102u16 + 0x0304);
        assert_eq!(got[0].bytes(), b"plain");
        assert_eq!(got[1].bytes(), [1, 2, 3, 4, (sum >> 8) as u8, sum as u8]);
        Ok(())
    }

    #[test]
    fn big_endian_microseconds_are_read() -> io::Result<()> {
        let mut file = Vec::new();
        for word in [MAGIC_MICROS, 2 << 16 | 4, 0, 0, 65535, 1, 3, 7, 4, 4] {
            file.extend(word.to_be_bytes());
        }
        file.extend(b"abcd");
        let mut r = PcapReader::new(&file[..])?;
        let (at, f) = r.next_frame(&mut FramePool::default())?.ok_or(io::ErrorKind::UnexpectedEof)?;
        assert_eq!((at, f.bytes()), (Time(3_000_007_000), &b"abcd"[..]));
        Ok(())
    }

    #[test]
    fn bad_files_are_refused_without_allocating() -> io::Result<()> {
        assert!(PcapReader::new(&b"not a pcap file, surely not"[..]).is_err());
        let mut file = PcapWriter::new(Vec::new())?.finish()?;
        let good = file.len();
        for word in [0, 0, u32::MAX, u32::MAX] {
            file.extend(word.to_le_bytes());
        }
        let mut pool = FramePool::default();
        assert!(PcapReader::new(&file[..])?.next_frame(&mut pool).is_err());
        file.truncate(good + 7);
        assert!(PcapReader::new(&file[..])?.next_frame(&mut pool).is_err());
        Ok(())
    }
}

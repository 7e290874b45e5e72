//! The system calls behind the port backends, wrapped so that the backends need no `unsafe`.
//!
//! Nothing here knows about OpenFlow; everything is called from the thread that owns the descriptor.

pub(crate) mod array;
pub mod batch;
pub mod bpf;
mod cycles;
pub mod ethtool;
pub(crate) mod places;
pub mod ring;
pub mod vnet;
pub mod xdp;

pub use cycles::cycles;

use std::ffi::{c_int, c_void};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Has the C library give free memory of its heaps back to the kernel: by itself it keeps what lies below anything in
/// use. On a thread of its own, for this may take milliseconds (13 for 200 MB), during which others wait only if they
/// allocate from the heap that is at its turn.
pub(crate) fn trim_heaps() {
    #[cfg(target_env = "gnu")]
    {
        // SAFETY: no pointers involved; free memory only.
        let trim = || unsafe { libc::malloc_trim(0) };
        if let Err(e) = std::thread::Builder::new().name("trim".into()).spawn(trim) {
            tracing::debug!(error = %e, "free memory stays with the process");
        }
    }
}

/// Drops something large on a thread of its own: to unmap its memory may take milliseconds.
pub(crate) fn drop_aside(large: impl Send + 'static) {
    // If there can't be a thread, it is dropped here.
    let _ = std::thread::Builder::new().name("trim".into()).spawn(move || drop(large));
}

/// So many zeroes, on huge pages where they are many and the kernel has some.
pub(crate) fn zeroes(n: usize) -> Vec<u64> {
    /// Bytes of a huge page.
    const HUGE: usize = 2 << 20;
    // Of many words the kernel gives pages of zeroes, so that nothing has been touched yet.
    let words = vec![0u64; n];
    let all = words.as_ptr_range();
    let (first, end) = (all.start.addr().next_multiple_of(HUGE), all.end.addr() / HUGE * HUGE);
    if first < end {
        // SAFETY: whole pages within memory of ours; the advice changes nothing of what is read or written there, and
        // is refused where there are no huge pages.
        unsafe {
            libc::madvise(all.start.with_addr(first).cast_mut().cast(), end - first, libc::MADV_HUGEPAGE);
        }
    }
    words
}

/// `IFNAMSIZ`
pub const NAME_SIZE: usize = libc::IFNAMSIZ;

/// Sets a socket option to a plain value.
pub(crate) fn setsockopt<T: Copy>(fd: BorrowedFd<'_>, level: c_int, option: c_int, value: &T) -> io::Result<()> {
    // SAFETY: value points to size_of::<T>() readable bytes for the length of the call.
    let r = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            option,
            std::ptr::from_ref(value).cast::<c_void>(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    if r == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn getsockopt_u32s<const N: usize>(fd: BorrowedFd<'_>, level: c_int, option: c_int) -> io::Result<[u32; N]> {
    let mut value = [0u32; N];
    let mut len = size_of_val(&value) as libc::socklen_t;
    // SAFETY: value has room for len bytes, and every bit pattern is a u32.
    let r =
        unsafe { libc::getsockopt(fd.as_raw_fd(), level, option, value.as_mut_ptr().cast::<c_void>(), &raw mut len) };
    if r == 0 { Ok(value) } else { Err(io::Error::last_os_error()) }
}

/// Reads and clears the pending error of a socket (`SO_ERROR`).
pub(crate) fn take_error(fd: BorrowedFd<'_>) -> io::Result<Option<io::Error>> {
    let [e] = getsockopt_u32s(fd, libc::SOL_SOCKET, libc::SO_ERROR)?;
    Ok((e != 0).then(|| io::Error::from_raw_os_error(e as i32)))
}

/// Frames that the kernel dropped on a packet socket since the last call (`PACKET_STATISTICS`).
pub(crate) fn packet_drops(fd: BorrowedFd<'_>) -> io::Result<u32> {
    let [_packets, drops] = getsockopt_u32s(fd, libc::SOL_PACKET, libc::PACKET_STATISTICS)?;
    Ok(drops)
}

/// Makes a bound packet socket share what it receives with others of a group, by flow. Without a number a
/// new group begins; its number is the result.
pub(crate) fn join_fanout(fd: BorrowedFd<'_>, group: Option<u16>) -> io::Result<u16> {
    /// Let the kernel choose a number that nobody uses.
    const UNIQUE: u32 = 0x2000;
    /// In a group, the socket's own `PACKET_IGNORE_OUTGOING` counts for nothing.
    const IGNORE_OUTGOING: u32 = 0x4000;
    let unique = if group.is_none() { UNIQUE } else { 0 };
    let mode = libc::PACKET_FANOUT_HASH | IGNORE_OUTGOING | unique;
    let value = mode << 16 | u32::from(group.unwrap_or(0));
    setsockopt(fd, libc::SOL_PACKET, libc::PACKET_FANOUT, &value)?;
    let [joined] = getsockopt_u32s(fd, libc::SOL_PACKET, libc::PACKET_FANOUT)?;
    Ok(joined as u16)
}

/// A packet socket that receives nothing yet.
pub(crate) fn packet_socket() -> io::Result<OwnedFd> {
    // SAFETY: plain call; a non-negative result is a descriptor that nobody else owns.
    unsafe {
        let fd = libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, 0);
        if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(OwnedFd::from_raw_fd(fd)) }
    }
}

/// Hands a packet socket to the `afpacket` crate's type, which becomes its only owner.
///
/// That type's `Clone` would close the descriptor twice; callers must never clone it.
pub(crate) fn into_afpacket(fd: OwnedFd) -> afpacket::sync::RawPacketStream {
    use std::os::fd::IntoRawFd;
    // SAFETY: the descriptor is open and its ownership moves into the stream, which closes it once.
    unsafe { afpacket::sync::RawPacketStream::from_raw_fd(fd.into_raw_fd()) }
}

/// Borrows the descriptor of a packet stream.
pub(crate) fn stream_fd(stream: &afpacket::sync::RawPacketStream) -> BorrowedFd<'_> {
    // SAFETY: the stream owns the descriptor and outlives the borrow.
    unsafe { BorrowedFd::borrow_raw(stream.as_raw_fd()) }
}

/// Binds a packet socket to an interface for sending only: protocol 0 receives nothing.
pub(crate) fn bind_send_only(fd: BorrowedFd<'_>, index: u32) -> io::Result<()> {
    bind_packet_socket(fd, index, 0)
}

/// Binds a packet socket to an interface, whose frames it receives from now on.
pub(crate) fn bind_receiving(fd: BorrowedFd<'_>, index: u32) -> io::Result<()> {
    bind_packet_socket(fd, index, libc::ETH_P_ALL as u16)
}

/// Has an interface take frames for others, too, for as long as the packet socket lives.
pub(crate) fn set_promiscuous(fd: BorrowedFd<'_>, index: u32) -> io::Result<()> {
    let request = libc::packet_mreq {
        mr_ifindex: index as i32,
        mr_type: libc::PACKET_MR_PROMISC as u16,
        mr_alen: 0,
        mr_address: [0; 8],
    };
    setsockopt(fd, libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, &request)
}

fn bind_packet_socket(fd: BorrowedFd<'_>, index: u32, protocol: u16) -> io::Result<()> {
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: protocol.to_be(),
        sll_ifindex: index as i32,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    // SAFETY: address is a valid sockaddr_ll for the length of the call.
    let r = unsafe {
        libc::bind(
            fd.as_raw_fd(),
            (&raw const address).cast::<libc::sockaddr>(),
            size_of::<libc::sockaddr_ll>() as libc::socklen_t,
        )
    };
    if r == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// An interface name that fits `ifr_name` with its terminator and has no byte that the kernel refuses.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InterfaceName(String);

impl InterfaceName {
    /// Checks a name.
    ///
    /// # Errors
    /// Why it can't be an interface's.
    pub fn new(name: &str) -> Result<Self, &'static str> {
        match name {
            "" => Err("is empty"),
            "." | ".." => Err("is no interface name"),
            n if n.len() >= NAME_SIZE => Err("is longer than 15 bytes"),
            n if n.bytes().any(|b| b == b'/' || b == b':' || b == 0 || b.is_ascii_whitespace()) => {
                Err("has a slash, a colon, a blank or a zero byte")
            }
            n => Ok(Self(n.to_owned())),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn request(&self) -> libc::ifreq {
        // SAFETY: an all-zero ifreq is valid: integers and a union of plain data.
        let mut r: libc::ifreq = unsafe { std::mem::zeroed() };
        for (to, from) in r.ifr_name.iter_mut().zip(self.0.bytes()) {
            *to = from as libc::c_char;
        }
        r
    }
}

impl std::fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

fn interface_ioctl(fd: BorrowedFd<'_>, request: libc::c_ulong, r: &mut libc::ifreq) -> io::Result<()> {
    // SAFETY: every request used here reads or writes one ifreq, or what it points to (SIOCETHTOOL).
    if unsafe { libc::ioctl(fd.as_raw_fd(), request as _, std::ptr::from_mut(r)) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Index of an interface.
pub(crate) fn interface_index(fd: BorrowedFd<'_>, name: &InterfaceName) -> io::Result<u32> {
    let mut r = name.request();
    interface_ioctl(fd, libc::SIOCGIFINDEX as _, &mut r)?;
    // SAFETY: SIOCGIFINDEX filled the index.
    Ok(unsafe { r.ifr_ifru.ifru_ifindex } as u32)
}

/// `IFF_UP`, `IFF_RUNNING`, … of an interface.
pub(crate) fn interface_flags(fd: BorrowedFd<'_>, name: &InterfaceName) -> io::Result<c_int> {
    let mut r = name.request();
    interface_ioctl(fd, libc::SIOCGIFFLAGS as _, &mut r)?;
    // SAFETY: SIOCGIFFLAGS filled the flags.
    Ok(c_int::from(unsafe { r.ifr_ifru.ifru_flags } as u16))
}

/// Sets an interface administratively up or down.
pub(crate) fn set_interface_up(fd: BorrowedFd<'_>, name: &InterfaceName, up: bool) -> io::Result<()> {
    let flags = interface_flags(fd, name)?;
    let mut r = name.request();
    let wanted = if up { flags | libc::IFF_UP } else { flags & !libc::IFF_UP };
    r.ifr_ifru.ifru_flags = wanted as libc::c_short;
    interface_ioctl(fd, libc::SIOCSIFFLAGS as _, &mut r)
}

/// Reads an interface's MTU.
pub(crate) fn interface_mtu(fd: BorrowedFd<'_>, name: &InterfaceName) -> io::Result<u32> {
    let mut r = name.request();
    interface_ioctl(fd, libc::SIOCGIFMTU as _, &mut r)?;
    // SAFETY: SIOCGIFMTU filled the MTU.
    u32::try_from(unsafe { r.ifr_ifru.ifru_mtu }).map_err(io::Error::other)
}

/// Sets an interface's MTU.
pub(crate) fn set_interface_mtu(fd: BorrowedFd<'_>, name: &InterfaceName, mtu: u32) -> io::Result<()> {
    let mut r = name.request();
    r.ifr_ifru.ifru_mtu = c_int::try_from(mtu).map_err(|_| io::ErrorKind::InvalidInput)?;
    interface_ioctl(fd, libc::SIOCSIFMTU as _, &mut r)
}

/// Reads an interface's Ethernet address.
pub(crate) fn interface_mac(fd: BorrowedFd<'_>, name: &InterfaceName) -> io::Result<[u8; 6]> {
    let mut r = name.request();
    interface_ioctl(fd, libc::SIOCGIFHWADDR as _, &mut r)?;
    // SAFETY: SIOCGIFHWADDR filled the address.
    let data = unsafe { r.ifr_ifru.ifru_hwaddr.sa_data };
    Ok(std::array::from_fn(|i| data[i] as u8))
}

/// Sets an interface's Ethernet address.
pub(crate) fn set_interface_mac(fd: BorrowedFd<'_>, name: &InterfaceName, mac: [u8; 6]) -> io::Result<()> {
    let mut r = name.request();
    // SAFETY: an all-zero sockaddr is valid.
    let mut address: libc::sockaddr = unsafe { std::mem::zeroed() };
    address.sa_family = libc::ARPHRD_ETHER;
    for (to, from) in address.sa_data.iter_mut().zip(mac) {
        *to = from as libc::c_char;
    }
    r.ifr_ifru.ifru_hwaddr = address;
    interface_ioctl(fd, libc::SIOCSIFHWADDR as _, &mut r)
}

/// Makes `fd`, an open `/dev/net/tun`, the TAP device `name`.
pub(crate) fn tun_attach(fd: BorrowedFd<'_>, name: &InterfaceName, flags: c_int) -> io::Result<()> {
    let mut r = name.request();
    r.ifr_ifru.ifru_flags = flags as libc::c_short;
    interface_ioctl(fd, libc::TUNSETIFF as _, &mut r)
}

/// The name of the device that a queue belongs to.
pub(crate) fn tun_name(fd: BorrowedFd<'_>) -> io::Result<InterfaceName> {
    // SAFETY: an all-zero ifreq is valid: integers and a union of plain data.
    let mut r: libc::ifreq = unsafe { std::mem::zeroed() };
    interface_ioctl(fd, libc::TUNGETIFF as _, &mut r)?;
    let name: Vec<u8> = r.ifr_name.iter().map(|c| *c as u8).take_while(|b| *b != 0).collect();
    InterfaceName::new(&String::from_utf8_lossy(&name)).map_err(io::Error::other)
}

/// Detaches a queue of a device that has several: it can be sent through, but nothing comes in there.
pub(crate) fn tun_detach_queue(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: an all-zero ifreq is valid: integers and a union of plain data.
    let mut r: libc::ifreq = unsafe { std::mem::zeroed() };
    r.ifr_ifru.ifru_flags = libc::IFF_DETACH_QUEUE as libc::c_short;
    interface_ioctl(fd, libc::TUNSETQUEUE as _, &mut r)
}

/// Which unfinished work the device may be handed (`TUN_F_*`).
pub(crate) fn tun_set_offload(fd: BorrowedFd<'_>, features: u32) -> io::Result<()> {
    // SAFETY: TUNSETOFFLOAD takes its argument by value.
    let r = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TUNSETOFFLOAD as _, libc::c_ulong::from(features)) };
    if r < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn tun_ioctl_int(fd: BorrowedFd<'_>, request: libc::c_ulong, value: c_int) -> io::Result<()> {
    // SAFETY: both requests used here read one int through the pointer.
    let r = unsafe { libc::ioctl(fd.as_raw_fd(), request as _, &raw const value) };
    if r < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Length of the virtio header on every frame.
pub(crate) fn tun_set_vnet_header(fd: BorrowedFd<'_>, len: usize) -> io::Result<()> {
    tun_ioctl_int(fd, libc::TUNSETVNETHDRSZ as _, len as c_int)
}

/// Switches the device's carrier.
pub(crate) fn tun_set_carrier(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    tun_ioctl_int(fd, libc::TUNSETCARRIER as _, c_int::from(on))
}

/// A datagram socket for interface ioctls.
pub(crate) fn control_socket() -> io::Result<OwnedFd> {
    // SAFETY: plain call; a non-negative result is a descriptor that nobody else owns.
    unsafe {
        let fd = libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
        if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(OwnedFd::from_raw_fd(fd)) }
    }
}

/// Pins the calling thread to one CPU.
pub(crate) fn pin_to_cpu(cpu: usize) -> io::Result<()> {
    if cpu >= libc::CPU_SETSIZE as usize {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: an all-zero cpu_set_t is valid, cpu is inside it, and the call reads it only.
    let r = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set)
    };
    if r == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// `struct sched_attr`, its first published size.
#[repr(C)]
#[derive(Default)]
struct SchedAttr {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

impl SchedAttr {
    const SIZE: u32 = size_of::<Self>() as u32;

    /// Those of the calling thread.
    fn of_this_thread() -> io::Result<Self> {
        let mut attr = Self { size: Self::SIZE, ..Self::default() };
        // SAFETY: the kernel writes at most `size` bytes into `attr`, all of whose bit patterns are valid.
        match unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attr, Self::SIZE, 0) } {
            0 => Ok(attr),
            _ => Err(io::Error::last_os_error()),
        }
    }

    fn set_for_this_thread(&self) -> io::Result<()> {
        // SAFETY: the kernel reads `size` bytes of `self`.
        match unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const *self, 0) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// What a thread asks for that has these; `None` if whoever started it chose a policy that knows better.
    fn prompt(&self) -> Option<Self> {
        /// The kernel's least slice, in nanoseconds.
        const SLICE: u64 = 100_000;
        /// The nice value of a daemon that forwards.
        const NICE: i32 = -10;
        if self.policy != libc::SCHED_OTHER as u32 {
            return None;
        }
        // Anything but 0 somebody chose.
        let nice = if self.nice == 0 { NICE } else { self.nice };
        Some(Self { size: Self::SIZE, policy: self.policy, nice, runtime: SLICE, ..Self::default() })
    }
}

/// Asks the scheduler to let the calling thread run promptly when it wakes up: for short time slices, and
/// for nice -10 where nobody chose another nice value.
///
/// A thread that wakes up to a short slice need not wait for the end of a longer one (Linux 6.12 and
/// later; older kernels ignore the wish). That holds only while it has had no more than its share: one of
/// equal weight that ran a moment ago waits for the neighbour's slice or the next tick, milliseconds
/// later. With more weight its share is not used up by work of microseconds. Without the privilege to
/// have it (`CAP_SYS_NICE`) the slices are asked for alone.
pub(crate) fn ask_to_run_promptly() -> io::Result<()> {
    let had = SchedAttr::of_this_thread()?;
    let Some(wanted) = had.prompt() else { return Ok(()) };
    wanted.set_for_this_thread().or_else(|e| match e.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => SchedAttr { nice: had.nice, ..wanted }.set_for_this_thread(),
        _ => Err(e),
    })
}

/// A wake-up counter that can be waited for (`eventfd`).
#[derive(Debug)]
pub struct Event(OwnedFd);

impl Event {
    /// A new one, not signalled.
    ///
    /// # Errors
    /// Out of descriptors.
    pub fn new() -> io::Result<Self> {
        use rustix::event::{EventfdFlags, eventfd};
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    /// Signals it. It stays signalled until cleared.
    pub fn signal(&self) {
        // Fails only when the counter is at its maximum, and then it is signalled.
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }

    /// Clears it.
    pub fn clear(&self) {
        let mut count = [0; 8];
        let _ = rustix::io::read(&self.0, &mut count);
    }
}

impl AsFd for Event {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Descriptors waited for together (`poll`).
#[derive(Debug, Default)]
pub(crate) struct PollSet(Vec<libc::pollfd>);

/// What `poll` said of one descriptor.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ready {
    /// Something can be read.
    pub(crate) readable: bool,
    /// An error is pending.
    pub(crate) failed: bool,
}

impl PollSet {
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn add(&mut self, fd: BorrowedFd<'_>) {
        self.0.push(libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 });
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Waits for any of them; returns how many are ready, 0 also when interrupted. The descriptors
    /// were borrowed when added: should one be closed since, `poll` says so and touches nothing.
    pub(crate) fn wait(&mut self, timeout: std::time::Duration) -> usize {
        let timeout = c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX);
        // SAFETY: the vector's elements are valid pollfds, read and written during the call only.
        let n = unsafe { libc::poll(self.0.as_mut_ptr(), self.0.len() as libc::nfds_t, timeout) };
        usize::try_from(n).unwrap_or(0)
    }

    pub(crate) fn result(&self, index: usize) -> Ready {
        let r = self.0.get(index).map_or(0, |p| p.revents);
        Ready { readable: r & libc::POLLIN != 0, failed: r & (libc::POLLERR | libc::POLLNVAL | libc::POLLHUP) != 0 }
    }
}

/// Bytes of memory that the machine has; as much as can be if it doesn't say.
pub(crate) fn memory() -> u64 {
    let info = rustix::system::sysinfo();
    (info.totalram as u64).saturating_mul(u64::from(info.mem_unit).max(1))
}

/// Asks the kernel for huge pages under a large table that is read at random; it may not have any.
pub fn huge_pages<T>(table: &[T]) {
    const PAGE: usize = 4096;
    let bytes = size_of_val(table);
    let skip = table.as_ptr().cast::<u8>().align_offset(PAGE);
    if bytes >= 2 << 20 && skip < bytes {
        let len = (bytes - skip) / PAGE * PAGE;
        // SAFETY: whole pages within the slice; the advice changes no contents.
        let _ =
            unsafe { libc::madvise(table.as_ptr().cast::<u8>().add(skip).cast_mut().cast(), len, libc::MADV_HUGEPAGE) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interface_names_the_kernel_would_refuse_are_refused() {
        for bad in ["", ".", "..", "sixteen-bytes-nn", "a/b", "a b", "a:b", "a\0b"] {
            assert!(InterfaceName::new(bad).is_err(), "{bad:?}");
        }
        assert_eq!(InterfaceName::new("fifteen-bytes-n").as_ref().map(InterfaceName::as_str), Ok("fifteen-bytes-n"));
    }

    #[test]
    fn a_prompt_thread_has_more_weight_unless_somebody_chose_its_own() {
        let attr = |policy: i32, nice| SchedAttr { policy: policy as u32, nice, ..SchedAttr::default() };
        let prompt = |policy, nice| attr(policy, nice).prompt().map(|a| (a.nice, a.runtime));
        assert_eq!(prompt(libc::SCHED_OTHER, 0), Some((-10, 100_000)));
        assert_eq!(prompt(libc::SCHED_OTHER, 5), Some((5, 100_000)));
        assert_eq!(prompt(libc::SCHED_OTHER, -15), Some((-15, 100_000)));
        assert_eq!(prompt(libc::SCHED_FIFO, 0), None);
        assert_eq!(prompt(libc::SCHED_BATCH, 0), None);
    }

    #[test]
    fn a_thread_runs_promptly_with_and_without_the_privilege() {
        let (before, after) = std::thread::spawn(|| {
            let before = SchedAttr::of_this_thread().unwrap();
            ask_to_run_promptly().unwrap();
            (before, SchedAttr::of_this_thread().unwrap())
        })
        .join()
        .unwrap();
        let wanted = before.prompt().map_or(before.nice, |a| a.nice);
        assert!(after.nice == wanted || after.nice == before.nice, "{} to {}", before.nice, after.nice);
        // Kernels before 6.12 tell no slice.
        assert!(after.policy != libc::SCHED_OTHER as u32 || [0, 100_000].contains(&after.runtime));
    }
}

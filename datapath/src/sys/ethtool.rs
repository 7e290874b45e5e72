//! What drivers tell and take through `SIOCETHTOOL`.

use std::io;
use std::os::fd::BorrowedFd;

use super::{InterfaceName, interface_ioctl};

/// Runs a command whose structure is `data`, which begins with the command's number.
fn command<const N: usize>(fd: BorrowedFd<'_>, name: &InterfaceName, data: &mut [u32; N]) -> io::Result<()> {
    let mut r = name.request();
    r.ifr_ifru.ifru_data = data.as_mut_ptr().cast();
    // The request points to data, which outlives the call; every structure used here consists of 32-bit
    // words (or bytes) and is as long as the array.
    interface_ioctl(fd, libc::SIOCETHTOOL as _, &mut r)
}

/// Switches generic receive offload of an interface (`ETHTOOL_SGRO`).
pub(crate) fn set_gro(fd: BorrowedFd<'_>, name: &InterfaceName, on: bool) -> io::Result<()> {
    const SGRO: u32 = 0x2c;
    command(fd, name, &mut [SGRO, u32::from(on)])
}

/// How many receive queues an interface uses (`ETHTOOL_GCHANNELS`); 1 where the driver doesn't tell.
pub(crate) fn rx_queues(fd: BorrowedFd<'_>, name: &InterfaceName) -> u32 {
    const GCHANNELS: u32 = 0x3c;
    // The command; most of each kind; then now: rx, tx, other, combined.
    let mut channels = [0u32; 9];
    channels[0] = GCHANNELS;
    match command(fd, name, &mut channels) {
        Ok(()) => channels[5].saturating_add(channels[8]).clamp(1, 1024),
        Err(_) => 1,
    }
}

/// Speed in Mb/s and whether duplex is full (`ETHTOOL_GLINKSETTINGS`); `None` if the driver doesn't know.
pub(crate) fn speed(fd: BorrowedFd<'_>, name: &InterfaceName) -> Option<(u32, bool)> {
    const GLINKSETTINGS: u32 = 0x4c;
    const HALF: u8 = 0;
    /// `struct ethtool_link_settings` without its bit maps, in words.
    const FIXED: usize = 12;
    /// The most words that a bit map can have, for its length is a signed byte.
    const MAP: usize = 127;
    let mut settings = [0u32; FIXED + 3 * MAP];
    settings[0] = GLINKSETTINGS;
    // Asked with bit maps of no length, the kernel says which it has, negated.
    command(fd, name, &mut settings).ok()?;
    let [phy, mdi, mdi_control, words] = settings[3].to_ne_bytes();
    let words = (words as i8).checked_neg().filter(|n| *n > 0)?;
    settings = [0; FIXED + 3 * MAP];
    settings[0] = GLINKSETTINGS;
    settings[3] = u32::from_ne_bytes([phy, mdi, mdi_control, words as u8]);
    command(fd, name, &mut settings).ok()?;
    let [duplex, ..] = settings[2].to_ne_bytes();
    let mbps = settings[1];
    (mbps != 0 && mbps != u32::MAX).then_some((mbps, duplex != HALF))
}

/// The driver's name (`ETHTOOL_GDRVINFO`).
pub(crate) fn driver(fd: BorrowedFd<'_>, name: &InterfaceName) -> io::Result<String> {
    const GDRVINFO: u32 = 3;
    // `struct ethtool_drvinfo`: the command, then the driver's name in 32 bytes; 196 bytes in all.
    let mut info = [0u32; 49];
    info[0] = GDRVINFO;
    command(fd, name, &mut info)?;
    let bytes: Vec<u8> = info[1..9].iter().flat_map(|w| w.to_ne_bytes()).take_while(|b| *b != 0).collect();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

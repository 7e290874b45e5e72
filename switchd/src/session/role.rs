//! Controller roles (OpenFlow 1.3.5 §6.3.7): one master at most, and no late word from an old one.

use ofproto::role::Role;
use ofproto::{ErrorKind, OfError};

/// The switch's memory of the master elections: what all its connections share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Election {
    /// The newest `generation_id` seen.
    generation: Option<u64>,
}

impl Election {
    /// The generation as a reply carries it: all ones while none was ever set.
    pub fn generation(&self) -> u64 {
        self.generation.unwrap_or(u64::MAX)
    }

    /// Judges a role request of a connection that has the role `current`: the role it then has.
    ///
    /// The generation id counts for master and slave only, in sequence space: one that is older by
    /// less than half the space is stale.
    pub fn request(&mut self, current: Role, asked: Role, generation_id: u64) -> Result<Role, OfError> {
        match asked {
            Role::NoChange => Ok(current),
            Role::Equal => Ok(Role::Equal),
            Role::Master | Role::Slave => {
                if let Some(known) = self.generation
                    && generation_id.wrapping_sub(known).cast_signed() < 0
                {
                    return Err(OfError::new(
                        ErrorKind::RoleRequestFailedStale,
                        "generation_id",
                        format!("{generation_id:#x} is older than {known:#x}"),
                    ));
                }
                self.generation = Some(generation_id);
                Ok(asked)
            }
            Role::Unknown(n) => {
                Err(OfError::new(ErrorKind::RoleRequestFailedBadRole, "role", format!("role {n} is not defined")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_go_forward_even_across_zero() {
        let mut e = Election::default();
        assert_eq!(e.generation(), u64::MAX);
        assert_eq!(e.request(Role::Equal, Role::Master, u64::MAX - 1), Ok(Role::Master));
        assert_eq!(e.request(Role::Master, Role::Slave, 1), Ok(Role::Slave), "wraps forward");
        assert_eq!(e.request(Role::Slave, Role::Master, 1), Ok(Role::Master), "equal is not stale");
        let stale = e.request(Role::Slave, Role::Master, 0).unwrap_err();
        assert_eq!(stale.kind, ErrorKind::RoleRequestFailedStale);
        assert_eq!(e.generation(), 1, "a stale request leaves the generation");
    }

    #[test]
    fn equal_and_nochange_ignore_the_generation() {
        let mut e = Election::default();
        e.request(Role::Equal, Role::Master, 100).unwrap();
        assert_eq!(e.request(Role::Master, Role::Equal, 5), Ok(Role::Equal));
        assert_eq!(e.request(Role::Slave, Role::NoChange, 5), Ok(Role::Slave));
        assert_eq!(e.generation(), 100);
        let bad = e.request(Role::Equal, Role::Unknown(9), 100).unwrap_err();
        assert_eq!(bad.kind, ErrorKind::RoleRequestFailedBadRole);
    }
}

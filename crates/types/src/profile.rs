//! Profiles: how many shards a stripe has, how long they are and how they are checked.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How a stripe is cut and protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Profile {
    k: u8,
    m: u8,
    shard_bytes: u32,
    /// The checksum of each 64 KiB block.
    pub integrity: Integrity,
}

/// The checksum of a shard's blocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Integrity {
    /// XXH3-128: finds bit rot, at 0.02 s of CPU per GiB.
    #[default]
    Xxh3,
    /// BLAKE3: also evidence of tampering, at 0.26 s of CPU per GiB.
    Blake3,
}

/// A profile that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// Not `K+M`.
    #[error("a profile is written K+M, like 4+2")]
    Form,
    /// Too few or too many shards.
    #[error("a profile has 1 to {} data shards and 0 to {} parity shards", Profile::K_MAX, Profile::M_MAX)]
    Shards,
    /// The shard size is no power of two within the bounds.
    #[error("a shard size is a power of two from 64 KiB to 4 MiB")]
    ShardBytes,
}

impl Profile {
    /// The most data shards.
    pub const K_MAX: u8 = 16;
    /// The most parity shards.
    pub const M_MAX: u8 = 8;
    /// The default length of a shard in bytes.
    pub const SHARD_BYTES_DEFAULT: u32 = 1 << 20;

    /// Checks the bounds; `shard_bytes` is a power of two from 64 KiB to 4 MiB.
    ///
    /// # Errors
    /// [`ProfileError::Shards`], [`ProfileError::ShardBytes`].
    pub const fn new(k: u8, m: u8, shard_bytes: u32, integrity: Integrity) -> Result<Self, ProfileError> {
        if k == 0 || k > Self::K_MAX || m > Self::M_MAX {
            return Err(ProfileError::Shards);
        }
        if !shard_bytes.is_power_of_two() || shard_bytes < 1 << 16 || shard_bytes > 1 << 22 {
            return Err(ProfileError::ShardBytes);
        }
        Ok(Self { k, m, shard_bytes, integrity })
    }

    /// The same numbers of shards, of another size and with another checksum.
    ///
    /// # Errors
    /// [`ProfileError::ShardBytes`].
    pub const fn with_shards(self, shard_bytes: u32, integrity: Integrity) -> Result<Self, ProfileError> {
        Self::new(self.k, self.m, shard_bytes, integrity)
    }

    /// The wanted profile for so many failure domains unless one is set (docs/architecture.md, "Profiles").
    pub fn for_domains(domains: usize) -> Self {
        let (k, m) = match domains {
            0 | 1 => (1, 0),
            2 => (1, 1),
            3 => (2, 1),
            4 => (2, 2),
            5 => (3, 2),
            6..=11 => (4, 2),
            _ => (8, 4),
        };
        Self { k, m, shard_bytes: Self::SHARD_BYTES_DEFAULT, integrity: Integrity::default() }
    }

    /// The widest profile that `live` domains hold when this one is wanted: this one if it fits, else `m` is kept as
    /// long as possible, down to 1+1. `None` if not even that fits (a wanted 1+0 needs one domain).
    pub fn narrowed_to(self, live: usize) -> Option<Self> {
        if live >= self.width() {
            return Some(self);
        }
        let m = usize::from(self.m).min(live.saturating_sub(1));
        if m == 0 {
            return None;
        }
        let shards = |n: usize| u8::try_from(n).expect("at most K_MAX + M_MAX shards");
        Some(Self { k: shards(live - m), m: shards(m), ..self })
    }

    /// Data shards of a stripe.
    pub const fn k(self) -> usize {
        self.k as usize
    }

    /// Parity shards of a stripe.
    pub const fn m(self) -> usize {
        self.m as usize
    }

    /// All shards of a stripe.
    pub const fn width(self) -> usize {
        self.k as usize + self.m as usize
    }

    /// The longest shard, in bytes.
    pub const fn shard_bytes(self) -> usize {
        self.shard_bytes as usize
    }

    /// The plain bytes of a full stripe.
    pub const fn stripe_bytes(self) -> usize {
        self.k() * self.shard_bytes()
    }

    /// The length of each shard of a stripe of `plain` bytes: `plain / k`, rounded up; the last data shard is padded
    /// with zeros to it.
    pub const fn shard_len(self, plain: usize) -> usize {
        plain.div_ceil(self.k())
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}", self.k, self.m)
    }
}

impl FromStr for Profile {
    type Err = ProfileError;

    /// Reads `K+M`, with the default shard size and checksum.
    fn from_str(text: &str) -> Result<Self, ProfileError> {
        let (k, m) = text.split_once('+').ok_or(ProfileError::Form)?;
        let number = |digits: &str| digits.trim().parse().map_err(|_| ProfileError::Form);
        Self::new(number(k)?, number(m)?, Self::SHARD_BYTES_DEFAULT, Integrity::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_narrows_keeping_m_as_long_as_possible() {
        let wanted: Profile = "4+2".parse().unwrap();
        let narrowed = |live| wanted.narrowed_to(live).map(|p| p.to_string());
        assert_eq!(narrowed(6).as_deref(), Some("4+2"));
        assert_eq!(narrowed(5).as_deref(), Some("3+2"));
        assert_eq!(narrowed(4).as_deref(), Some("2+2"));
        assert_eq!(narrowed(3).as_deref(), Some("1+2"));
        assert_eq!(narrowed(2).as_deref(), Some("1+1"));
        assert_eq!(narrowed(1), None);
        assert_eq!("1+0".parse::<Profile>().unwrap().narrowed_to(1).map(|p| p.width()), Some(1));
        assert_eq!("1+0".parse::<Profile>().unwrap().narrowed_to(0), None);
    }

    #[test]
    fn profiles_are_bounded() {
        assert_eq!("0+1".parse::<Profile>(), Err(ProfileError::Shards));
        assert_eq!("17+1".parse::<Profile>(), Err(ProfileError::Shards));
        assert_eq!("4x2".parse::<Profile>(), Err(ProfileError::Form));
        assert_eq!(Profile::new(4, 2, 100_000, Integrity::Xxh3), Err(ProfileError::ShardBytes));
    }
}

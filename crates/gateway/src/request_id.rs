//! Names of requests: `x-amz-request-id` and `x-amz-id-2`.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use http::HeaderValue;
use platform::Entropy;
use telemetry::RequestName;

/// Makes ids that no other request of this or another gateway has had, without asking the system for randomness each
/// time.
#[derive(Debug)]
pub(crate) struct RequestIds {
    seed: u64,
    count: AtomicU64,
    host: HostId,
}

/// The value of `x-amz-id-2`: the same for all answers of one start of a gateway.
#[derive(Debug, Clone)]
pub(crate) struct HostId {
    text: String,
    header: HeaderValue,
}

/// The value of `x-amz-request-id`: 16 upper-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct RequestId {
    name: RequestName,
    digits: [u8; 16],
}

impl RequestIds {
    pub(crate) fn new(entropy: &dyn Entropy) -> Self {
        let text = format!("{:016x}{:016x}", entropy.number(), entropy.number());
        let header = HeaderValue::try_from(&text).expect("hex digits are a header value");
        Self { seed: entropy.number(), count: AtomicU64::new(0), host: HostId { text, header } }
    }

    pub(crate) fn next(&self) -> RequestId {
        let count = self.count.fetch_add(1, Relaxed);
        RequestId::from_number(scatter(self.seed.wrapping_add(count)))
    }

    pub(crate) fn host(&self) -> &HostId {
        &self.host
    }
}

impl HostId {
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn header(&self) -> HeaderValue {
        self.header.clone()
    }
}

impl RequestId {
    fn from_number(number: u64) -> Self {
        let mut digits = [0; 16];
        for (index, digit) in digits.iter_mut().enumerate() {
            *digit = b"0123456789ABCDEF"[(number >> (60 - 4 * index)) as usize & 0xf];
        }
        Self { name: RequestName(number), digits }
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.digits).expect("hex digits are ASCII")
    }

    pub(crate) fn header(&self) -> HeaderValue {
        HeaderValue::from_bytes(&self.digits).expect("hex digits are a header value")
    }

    /// What log lines call it.
    pub(crate) fn name(self) -> RequestName {
        self.name
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A bijection of 64 bits under which neighbours look unrelated (the finaliser of SplitMix64, Steele et al. 2014).
fn scatter(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use platform::SystemEntropy;

    use super::*;

    #[test]
    fn ids_are_hex_and_never_repeat() {
        let ids = RequestIds::new(&SystemEntropy);
        let made: HashSet<String> = (0..10_000).map(|_| ids.next().to_string()).collect();
        assert_eq!(made.len(), 10_000);
        assert!(made.iter().all(|id| id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit())));
        let id = RequestId::from_number(0x0123_4567_89ab_cdef);
        assert_eq!((id.as_str(), id.name().to_string().as_str()), ("0123456789ABCDEF", "0123456789ABCDEF"));
    }
}

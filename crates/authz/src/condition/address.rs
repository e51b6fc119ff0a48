//! Networks of conditions: CIDR blocks of IPv4 and IPv6 (RFC 4632, RFC 4291).

use std::net::IpAddr;

/// A block of addresses. IPv4 that is written as IPv6 (`::ffff:1.2.3.4`) is IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cidr {
    /// The first address of the block.
    first: IpAddr,
    prefix_bits: u8,
}

impl Cidr {
    /// Reads an address, or an address and the bits of its network. Bits behind those are passed over, as AWS does.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (parse_written(address)?, Some(bits)),
            None => (parse_written(text)?, None),
        };
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits = match bits {
            Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => bits.parse().ok()?,
            Some(_) => return None,
            None => bits_max,
        };
        if prefix_bits > bits_max {
            return None;
        }
        let (address, prefix_bits) = match (address, address.to_canonical()) {
            // Of a mapped address at least the mapping must be in the block.
            (IpAddr::V6(_), IpAddr::V4(mapped)) if prefix_bits >= 96 => (IpAddr::V4(mapped), prefix_bits - 96),
            _ => (address, prefix_bits),
        };
        Some(Self { first: mask(address, prefix_bits), prefix_bits })
    }

    /// Whether `address` is in it.
    pub(crate) fn contains(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.first.is_ipv4() && mask(address, self.prefix_bits) == self.first
    }

    /// Whether it is so wide that S3 takes a policy that allows it for public: wider than /8 of IPv4, /32 of IPv6.
    pub(crate) fn is_wide(self) -> bool {
        self.prefix_bits < if self.first.is_ipv4() { 8 } else { 32 }
    }
}

/// An address as requests have it.
pub(crate) fn parse_address(text: &str) -> Option<IpAddr> {
    parse_written(text).map(|address| address.to_canonical())
}

fn parse_written(text: &str) -> Option<IpAddr> {
    text.parse().ok()
}

fn mask(address: IpAddr, prefix_bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let kept = u32::MAX.checked_shl(32 - u32::from(prefix_bits)).unwrap_or(0);
            IpAddr::V4((address.to_bits() & kept).into())
        }
        IpAddr::V6(address) => {
            let kept = u128::MAX.checked_shl(128 - u32::from(prefix_bits)).unwrap_or(0);
            IpAddr::V6((address.to_bits() & kept).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(block: &str, address: &str) -> bool {
        Cidr::parse(block).expect(block).contains(address.parse().expect(address))
    }

    #[test]
    fn blocks_contain_their_addresses() {
        assert!(contains("203.0.113.0/24", "203.0.113.255"));
        assert!(!contains("203.0.113.0/24", "203.0.114.0"));
        assert!(contains("203.0.113.77/24", "203.0.113.1"));
        assert!(contains("203.0.113.7", "203.0.113.7"));
        assert!(!contains("203.0.113.7", "203.0.113.8"));
        assert!(contains("0.0.0.0/0", "255.255.255.255"));
        assert!(contains("2001:db8:1234:5678::/64", "2001:db8:1234:5678:1::9"));
        assert!(!contains("2001:db8:1234:5678::/64", "2001:db8:1234:5679::"));
        assert!(contains("::/0", "2001:db8::"));
        assert!(!contains("::/0", "1.2.3.4"));
        assert!(!contains("0.0.0.0/0", "::1"));
    }

    #[test]
    fn mapped_addresses_are_those_of_ipv4() {
        assert!(contains("10.0.0.0/8", "::ffff:10.1.2.3"));
        assert!(contains("::ffff:10.0.0.0/104", "10.1.2.3"));
        assert!(!contains("::ffff:10.0.0.0/104", "11.1.2.3"));
    }

    #[test]
    fn what_is_no_block_is_refused() {
        for text in ["", "1.2.3", "1.2.3.4/33", "::/129", "1.2.3.4/", "1.2.3.4/+8", "1.2.3.4/8/8", "1.2.3.4 ", "x/8"] {
            assert_eq!(Cidr::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_block_is_wide_where_s3_takes_it_for_the_public() {
        for (block, wide) in [
            ("0.0.0.0/1", true),
            ("8.0.0.0/7", true),
            ("8.0.0.0/8", false),
            ("10.0.0.0/8", false),
            ("2001::/31", true),
            ("2001:db8::/32", false),
        ] {
            assert_eq!(Cidr::parse(block).expect(block).is_wide(), wide, "{block}");
        }
    }
}

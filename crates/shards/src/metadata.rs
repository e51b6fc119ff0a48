//! What a record says of its shard beyond the address, as bytes.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use types::{Code, HomeKey, Profile, RunForm, SlotEpoch, SlotIndex};

use crate::{ShardAddress, ShardHeader};

const VERSION_1: u8 = 1;

/// Version 1. `H` and `M` are owned for reading, borrowed for writing; both encode to the same bytes.
#[derive(Serialize, Deserialize)]
struct MetadataV1<H, M> {
    slot: SlotIndex,
    slot_epoch: SlotEpoch,
    profile: Profile,
    code: Code,
    form: RunForm,
    home: H,
    part: u16,
    part_offset: u64,
    stripe_bytes: u32,
    plain_bytes: u32,
    part_metadata: Option<M>,
}

/// The metadata of a shard's record.
pub(crate) fn encode_metadata(header: &ShardHeader) -> Vec<u8> {
    let metadata = MetadataV1 {
        slot: header.slot,
        slot_epoch: header.slot_epoch,
        profile: header.profile,
        code: header.code,
        form: header.form,
        home: &header.home,
        part: header.part,
        part_offset: header.part_offset,
        stripe_bytes: header.stripe_bytes,
        plain_bytes: header.plain_bytes,
        part_metadata: header.part_metadata.as_ref(),
    };
    let room = 64 + header.home.key.as_bytes().len() + header.part_metadata.as_ref().map_or(0, Bytes::len);
    let mut bytes = Vec::with_capacity(room);
    bytes.push(VERSION_1);
    postcard::to_extend(&metadata, bytes).expect("plain data can be encoded")
}

/// Reads what [`encode_metadata`] wrote; `None` for anything else.
pub(crate) fn decode_metadata(address: ShardAddress, bytes: &[u8]) -> Option<ShardHeader> {
    let (VERSION_1, rest) = bytes.split_first().map(|(version, rest)| (*version, rest))? else { return None };
    let Ok((metadata, [])) = postcard::take_from_bytes::<MetadataV1<HomeKey, Bytes>>(rest) else { return None };
    Some(ShardHeader {
        address,
        slot: metadata.slot,
        slot_epoch: metadata.slot_epoch,
        profile: metadata.profile,
        code: metadata.code,
        form: metadata.form,
        home: metadata.home,
        part: metadata.part,
        part_offset: metadata.part_offset,
        stripe_bytes: metadata.stripe_bytes,
        plain_bytes: metadata.plain_bytes,
        part_metadata: metadata.part_metadata,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use types::Integrity;

    use super::*;
    use crate::contract::{address, header};

    const GOLDEN: &str = include_str!("../tests/golden/metadata_v1.hex");

    #[test]
    fn the_bytes_of_version_1_never_change() {
        let header = header(address(1, 2, 0), Integrity::Blake3);
        assert_eq!(hex::encode(encode_metadata(&header)), GOLDEN.trim());
        assert_eq!(decode_metadata(header.address, &hex::decode(GOLDEN.trim()).unwrap()), Some(header));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            decode_metadata(address(1, 1, 1), &bytes);
            decode_metadata(address(1, 1, 1), &[&[VERSION_1][..], &bytes].concat());
        }
    }
}

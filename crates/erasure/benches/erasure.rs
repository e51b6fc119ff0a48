//! Encoding and rebuilding full stripes: bytes of data a second on one core.

use std::collections::BTreeSet;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use erasure::Coder;
use types::{Integrity, Profile};

fn stripes(criterion: &mut Criterion) {
    for (k, m) in [(2, 1), (4, 2), (8, 4)] {
        let profile = Profile::new(k, m, Profile::SHARD_BYTES_DEFAULT, Integrity::Xxh3).expect("within bounds");
        let coder = Coder::new(profile);
        for shard_bytes in [64 << 10, 1 << 20] {
            let data: Vec<Vec<u8>> = (0..k).map(|shard| vec![shard + 1; shard_bytes]).collect();
            let mut parity = vec![vec![0; shard_bytes]; usize::from(m)];
            let mut group = criterion.benchmark_group(format!("{profile}"));
            group.throughput(Throughput::Bytes((usize::from(k) * shard_bytes) as u64));
            group.bench_function(BenchmarkId::new("encode", shard_bytes), |bench| {
                bench.iter(|| coder.encode(&data, &mut parity));
            });
            for lost in BTreeSet::from([1, usize::from(m)]) {
                let kept = data.iter().chain(&parity).enumerate().skip(lost);
                let present: Vec<(usize, &[u8])> = kept.map(|(shard, bytes)| (shard, bytes.as_slice())).collect();
                let mut wanted: Vec<(usize, Vec<u8>)> = (0..lost).map(|shard| (shard, vec![0; shard_bytes])).collect();
                group.bench_function(BenchmarkId::new(format!("rebuild {lost}"), shard_bytes), |bench| {
                    bench.iter(|| coder.reconstruct(&present, &mut wanted).expect("k shards are there"));
                });
            }
            group.finish();
        }
    }
}

criterion_group!(benches, stripes);
criterion_main!(benches);

//! What became of calls, and how long they took, by the service that was asked.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::CallError;
use crate::encoding::Service;

/// The services, in the order of their counts.
const SERVICES: [&str; 5] = ["shards", "index", "raft", "join", "archive"];
/// What becomes of a call, in the order of the counts.
const OUTCOMES: [&str; 4] = ["answered", "refused", "not_sent", "lost"];

/// Calls to one service since the process began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ServiceCalls {
    /// The service.
    pub service: &'static str,
    /// How many had each outcome: `answered`, `refused` (by the peer), `not_sent` (certainly without effect) and `lost`
    /// (of unknown effect).
    pub outcomes: [(&'static str, u64); 4],
    /// How long they were waited for, all together.
    pub waited: Duration,
}

/// Counts calls.
#[derive(Debug, Default)]
pub(super) struct CallCounts {
    services: [OfService; SERVICES.len()],
}

#[derive(Debug, Default)]
struct OfService {
    outcomes: [AtomicU64; OUTCOMES.len()],
    waited_micros: AtomicU64,
}

impl CallCounts {
    pub(super) fn count<T>(&self, service: Service, outcome: &Result<T, CallError>, waited: Duration) {
        let of_service = &self.services[match service {
            Service::Shards => 0,
            Service::Index => 1,
            Service::Raft => 2,
            Service::Join => 3,
            Service::Archive => 4,
        }];
        let at = match outcome {
            Ok(_) => 0,
            Err(CallError::Refused(_)) => 1,
            Err(CallError::NotSent { .. } | CallError::WrongNode) => 2,
            Err(CallError::Lost { .. }) => 3,
        };
        of_service.outcomes[at].fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(waited.as_micros()).unwrap_or(u64::MAX);
        of_service.waited_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// All services, those that were not asked too.
    pub(super) fn now(&self) -> Vec<ServiceCalls> {
        let of = |(service, counts): (&'static str, &OfService)| ServiceCalls {
            service,
            outcomes: std::array::from_fn(|at| (OUTCOMES[at], counts.outcomes[at].load(Ordering::Relaxed))),
            waited: Duration::from_micros(counts.waited_micros.load(Ordering::Relaxed)),
        };
        SERVICES.into_iter().zip(&self.services).map(of).collect()
    }
}

impl ServiceCalls {
    /// As of a process that has called nobody.
    pub fn none() -> Vec<Self> {
        CallCounts::default().now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_is_counted_with_its_service() {
        let counts = CallCounts::default();
        let lost = || Err::<(), _>(CallError::Lost { reason: String::new() });
        counts.count(Service::Index, &lost(), Duration::from_millis(2));
        counts.count(Service::Index, &lost(), Duration::from_millis(3));
        counts.count(Service::Archive, &Ok(()), Duration::ZERO);
        counts.count(Service::Raft, &Err::<(), _>(CallError::WrongNode), Duration::ZERO);
        let now = counts.now();
        let count = |service: &str, outcome: &str| {
            let of_service = now.iter().find(|calls| calls.service == service).expect("a service");
            of_service.outcomes.iter().find(|(name, _)| *name == outcome).expect("an outcome").1
        };
        assert_eq!((count("index", "lost"), count("index", "answered")), (2, 0));
        assert_eq!((count("archive", "answered"), count("raft", "not_sent"), count("shards", "answered")), (1, 1, 0));
        assert_eq!(now[1].waited, Duration::from_millis(5));
        assert_eq!(ServiceCalls::none().len(), now.len());
    }
}
